package tensorfile

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"pipe.dev/executor/archive"
	"pipe.dev/executor/checkpoint"
)

// npz reads archives of .npy files, within limits.
type npz archive.Limits

func readNPZFile(path string) ([]Tensor, error) { return npz(archive.Usual).read(path) }

func (z npz) read(path string) ([]Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a, err := archive.Open(f, info.Size(), archive.Limits(z))
	if errors.Is(err, archive.ErrFormat) {
		return nil, errors.New("is not a zip archive, as a .npz file is: not .npz, or truncated")
	}
	if err != nil {
		return nil, err
	}
	out := make([]Tensor, 0, len(a.Entries))
	for _, e := range a.Entries {
		name, ok := strings.CutSuffix(e.Name, ".npy")
		if !ok {
			return nil, fmt.Errorf("entry %q is not a .npy file", archive.Short(e.Name))
		}
		t, err := readEntry(e)
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", archive.Short(e.Name), err)
		}
		t.Name = name
		out = append(out, t)
	}
	return out, nil
}

func readEntry(e *archive.Entry) (Tensor, error) {
	r, err := e.Open()
	if err != nil {
		return Tensor{}, err
	}
	defer r.Close()
	b := bufio.NewReader(r)
	t, err := readNPY(b, e.Size)
	if err == nil {
		_, err = b.ReadByte() // the checksum is compared at the end
	}
	if r.Damage != nil {
		return Tensor{}, r.Damage
	}
	if err == io.EOF {
		err = nil
	}
	return t, err
}

func writeNPZFile(path string, ts []Tensor) error {
	seen := map[string]bool{}
	for _, t := range ts {
		if t.Name == "" || seen[t.Name] {
			return fmt.Errorf("tensor name %q is empty or there twice", t.Name)
		}
		seen[t.Name] = true
	}
	return checkpoint.Replace(path, func(w io.Writer) error {
		z := zip.NewWriter(w)
		for _, t := range ts {
			e, err := z.CreateHeader(&zip.FileHeader{
				Name:     t.Name + ".npy",
				Method:   zip.Store,
				Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), // the same bytes every time
			})
			if err != nil {
				return err
			}
			if err := writeNPY(e, t); err != nil {
				return err
			}
		}
		return z.Close()
	})
}
