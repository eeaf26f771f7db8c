package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"pipe.dev/executor/archive"
	"pipe.dev/executor/npy"
	"pipe.dev/executor/torch"
)

// layout is what a file says of its tensors.
type layout struct {
	tensors  []Tensor // File is not set
	metadata map[string]string
	made     map[string]func() ([]byte, error) // of tensors that do not lie in the file as they are
}

// format is a kind of file that holds weights, other than safetensors, which
// is what anything else is taken for.
type format struct {
	name string
	is   func(start []byte, file string) bool
	read func(in contents, size int64, file string) (layout, error)
}

// formats is the table of them; the first that a file seems to be counts.
var formats = []format{
	{"npz", func(start []byte, file string) bool {
		return bytes.HasPrefix(start, []byte("PK\x03\x04")) && strings.EqualFold(filepath.Ext(file), ".npz")
	}, readNPZ},
	{"npy", func(start []byte, _ string) bool { return bytes.HasPrefix(start, []byte(npy.Magic)) }, readNPY},
	{"onnx", isONNX, readONNX},
	{"torch", func(start []byte, _ string) bool { return torch.Is(start) }, readTorch},
}

// formatOf finds the format of a file; nil is safetensors.
func formatOf(r io.ReaderAt, size int64, file string) (*format, error) {
	start := make([]byte, min(size, 512))
	if _, err := r.ReadAt(start, 0); err != nil {
		return nil, err
	}
	if len(start) > 8 && start[8] == '{' && binary.LittleEndian.Uint64(start) <= uint64(size-8) {
		return nil, nil // a length of safetensors may look like anything
	}
	for i := range formats {
		if formats[i].is(start, file) {
			return &formats[i], nil
		}
	}
	return nil, nil
}

// readTorch reads a file of PyTorch. Tensors without gaps are used where they
// lie; others are put in order when they are asked for.
func readTorch(in contents, size int64, file string) (layout, error) {
	f, err := torch.Read(in, size)
	if err != nil {
		return layout{}, err
	}
	l := layout{metadata: map[string]string{}, made: map[string]func() ([]byte, error){}}
	for _, n := range f.Notes {
		l.metadata[n.Path] = n.Text
	}
	for _, t := range f.Tensors {
		d, _ := parseDType(t.DType)
		s := t.Storage
		l.tensors = append(l.tensors, Tensor{Name: t.Name, Raw: t.DType, DType: d, Shape: t.Shape, Bytes: t.Bytes(), Offset: s.Offset + t.Start})
		stored := s.Entry == nil || s.Entry.Stored
		if stored && t.Plain() {
			continue
		}
		l.made[t.Name] = func() ([]byte, error) {
			var data []byte
			var err error
			if stored {
				data, err = in.view(s.Offset, s.Bytes)
			} else {
				data, err = s.Entry.Read(s.Entry.Size)
			}
			if err != nil {
				return nil, err
			}
			if t.Plain() {
				return data[t.Start : t.Start+t.Bytes()], nil
			}
			return t.Gather(data), nil
		}
	}
	return l, nil
}

// readNPY reads a .npy file, whose array is named after it.
func readNPY(in contents, size int64, file string) (layout, error) {
	h, length, err := npy.ReadHeader(io.NewSectionReader(in, 0, size))
	if err != nil {
		return layout{}, err
	}
	if err := h.Fits(size - length); err != nil {
		return layout{}, err
	}
	base := filepath.Base(file)
	l := layout{metadata: map[string]string{}, made: map[string]func() ([]byte, error){}}
	l.array(h, strings.TrimSuffix(base, filepath.Ext(base)), length, nil, in)
	return l, nil
}

// readNPZ reads an archive of .npy files. Arrays that are stored as they are
// are used where they lie.
func readNPZ(in contents, size int64, file string) (layout, error) {
	z, err := archive.Open(in, size, archive.Usual)
	if err != nil {
		return layout{}, fmt.Errorf("zip archive: %w", err)
	}
	l := layout{metadata: map[string]string{}, made: map[string]func() ([]byte, error){}}
	for _, e := range z.Entries {
		name, ok := strings.CutSuffix(e.Name, ".npy")
		if !ok || name == "" || len(name) > maxKey {
			return layout{}, fmt.Errorf("entry %q is not a .npy file", archive.Short(e.Name))
		}
		if err := l.entry(e, name, in); err != nil {
			return layout{}, fmt.Errorf("entry %q: %w", archive.Short(e.Name), err)
		}
	}
	return l, nil
}

func (l *layout) entry(e *archive.Entry, name string, in contents) error {
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	h, length, err := npy.ReadHeader(r)
	if r.Damage != nil {
		err = r.Damage
	}
	if err != nil {
		return err
	}
	if err := h.Fits(e.Size - length); err != nil {
		return err
	}
	if e.Stored {
		l.array(h, name, e.Offset+length, nil, in)
	} else {
		l.array(h, name, e.Offset, func() ([]byte, error) {
			data, err := e.Read(e.Size)
			if err != nil {
				return nil, err
			}
			return data[length:], nil
		}, in)
	}
	return nil
}

// array adds an array of NumPy whose bytes lie at offset, or which unpack
// gives.
func (l *layout) array(h npy.Header, name string, offset int64, unpack func() ([]byte, error), in contents) {
	d, _ := parseDType(h.Elem.Raw)
	t := Tensor{Name: name, Raw: h.Elem.Raw, DType: d, Shape: h.Shape, Bytes: h.Bytes(), Offset: offset}
	l.tensors = append(l.tensors, t)
	if unpack == nil && !h.Fortran && !h.Elem.Big {
		return
	}
	l.made[name] = func() (data []byte, err error) {
		if unpack != nil {
			data, err = unpack()
		} else if data, err = in.view(offset, t.Bytes); err == nil {
			data = bytes.Clone(data)
		}
		if err != nil {
			return nil, err
		}
		if h.Fortran {
			data = npy.COrder(data, h.Shape, h.Elem.Size)
		}
		return h.Elem.Little(data), nil
	}
}

// errEmpty says that a file has no bytes.
var errEmpty = errors.New("is empty")
