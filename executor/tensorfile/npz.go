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

	"pipe.dev/executor/checkpoint"
)

// npz reads archives of .npy files.
type npz struct {
	// An archive may expand to free bytes, or to ratio times its own size if
	// that is more; beyond that it is taken for a bomb. Arrays of zeros or masks
	// compress a thousandfold, so the ratio alone is no sign of one.
	free, ratio uint64
}

func readNPZFile(path string) ([]Tensor, error) {
	return npz{free: 1 << 30, ratio: 100}.read(path)
}

func (z npz) read(path string) ([]Tensor, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	r, err := zip.OpenReader(path)
	if errors.Is(err, zip.ErrFormat) {
		return nil, errors.New("is not a zip archive, as a .npz file is: not .npz, or truncated")
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := z.admit(r.File, uint64(info.Size())); err != nil {
		return nil, err
	}
	out := make([]Tensor, 0, len(r.File))
	seen := map[string]bool{}
	for _, f := range r.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, fmt.Errorf("entry %q is not a .npy file", short(f.Name))
		}
		if seen[name] {
			return nil, fmt.Errorf("entry %q is there twice", short(f.Name))
		}
		seen[name] = true
		t, err := readEntry(f)
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", short(f.Name), err)
		}
		t.Name = name
		out = append(out, t)
	}
	return out, nil
}

// deflateRatio is the most that deflate can compress: 258 bytes take two bits.
const deflateRatio = 1032

// admit refuses an archive of size bytes whose directory is absurd: entries
// that share bytes, sizes that the compression cannot reach, or a sum beyond
// the limits. That entries do not expand further than it says is up to
// readEntry.
func (z npz) admit(files []*zip.File, size uint64) error {
	var packed, expanded uint64
	for _, f := range files {
		most := f.CompressedSize64
		if f.CompressedSize64 > size-packed {
			return fmt.Errorf("entries take more than the %d bytes of the file", size)
		}
		packed += f.CompressedSize64
		if f.Method != zip.Store {
			most *= deflateRatio
		}
		if f.UncompressedSize64 > most {
			return fmt.Errorf("entry %q says that it expands from %d bytes to %d, which is impossible", short(f.Name), f.CompressedSize64, f.UncompressedSize64)
		}
		expanded += f.UncompressedSize64
	}
	if expanded > max(z.free, z.ratio*size) {
		return fmt.Errorf("expands from %d bytes to %d, more than the limit of %d bytes or %d times its size", size, expanded, z.free, z.ratio)
	}
	return nil
}

func readEntry(f *zip.File) (Tensor, error) {
	r, err := f.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return Tensor{}, fmt.Errorf("is compressed by method %d; want stored or deflate", f.Method)
	}
	if err != nil {
		return Tensor{}, err
	}
	defer r.Close()
	w := &watched{r: r}
	b := bufio.NewReader(w)
	t, err := readNPY(b, int64(f.UncompressedSize64))
	if err == nil {
		_, _ = b.ReadByte() // the checksum is compared at the end, which w sees
	}
	switch {
	case w.err == io.ErrUnexpectedEOF, w.err == zip.ErrFormat:
		return Tensor{}, fmt.Errorf("is damaged: it does not expand to the %d bytes it says", f.UncompressedSize64)
	case w.err != nil:
		return Tensor{}, fmt.Errorf("is damaged: %w", w.err)
	}
	return t, err
}

// watched keeps the error of a reader, other than its end, so that damage to
// an archive is not taken for a short array.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
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
