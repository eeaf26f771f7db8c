// Package torch reads the tensors of files that PyTorch writes: torch.save, as
// a zip archive or in the form from before version 1.6, and torch.jit.save, of
// which it reads parameters and buffers, not code.
//
// The pickles in them execute nothing: the classes and functions that tensors
// are made of are in a table (globals.go), and whatever else is refused by name.
//
// Not here: whole modules (torch.save(model)), sparse and quantised tensors,
// files of big-endian machines, the tar form from before version 0.1.10.
//
// Source: PyTorch, torch/serialization.py and torch/_utils.py.
package torch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"pipe.dev/executor/archive"
	"pipe.dev/executor/pickle"
)

// Tensor is a tensor in a file.
type Tensor struct {
	Name    string // the keys that lead to it, joined by dots
	DType   string // as safetensors spells it; "C128" for what has no name there
	Shape   []int
	Strides []int64 // in elements
	Start   int64   // of the first element in the storage, in bytes
	Width   int     // bytes of an element
	Storage *Storage
}

// Storage is the memory that tensors are views of; several may share one.
type Storage struct {
	Bytes  int64
	Offset int64          // in the file, if Entry is nil or stored
	Entry  *archive.Entry // of an archive
	key    string
	width  int    // bytes of an element
	dtype  string // "" if it has none
}

// Note is a number or text that stands beside the tensors.
type Note struct{ Path, Text string }

// File is what a file holds.
type File struct {
	Tensors []Tensor
	Notes   []Note
	Script  bool // written by torch.jit
}

// Is reports whether a file that begins with start may be one of these.
func Is(start []byte) bool {
	return bytes.HasPrefix(start, []byte("PK\x03\x04")) || len(start) > 1 && start[0] == 0x80 && start[1] >= 2 && start[1] <= 5
}

// Read reads what a file of size bytes says of its tensors, and none of their
// data.
func Read(r io.ReaderAt, size int64) (*File, error) {
	start := make([]byte, min(size, 512))
	if _, err := r.ReadAt(start, 0); err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return readZip(r, size)
	case len(start) > 265 && bytes.Equal(start[257:262], []byte("ustar")):
		return nil, errors.New("is in PyTorch's form from before version 0.1.10 (tar), which is not read: load and save it with a newer PyTorch")
	case Is(start):
		return readLegacy(r, size)
	}
	return nil, errors.New("is no PyTorch file: it is neither a zip archive nor a pickle")
}

// readZip reads an archive: PREFIX/data.pkl and PREFIX/data/KEY for each
// storage.
func readZip(r io.ReaderAt, size int64) (*File, error) {
	z, err := archive.Open(r, size, archive.Usual)
	if err != nil {
		return nil, fmt.Errorf("zip archive: %w", err)
	}
	main := ""
	for _, e := range z.Entries {
		if strings.HasSuffix(e.Name, "/data.pkl") && strings.Count(e.Name, "/") == 1 {
			if main != "" {
				return nil, fmt.Errorf("zip archive holds both %q and %q", archive.Short(main), archive.Short(e.Name))
			}
			main = e.Name
		}
	}
	if main == "" {
		return nil, errors.New("is a zip archive, but holds no data.pkl as PyTorch's do")
	}
	prefix := strings.TrimSuffix(main, "data.pkl")
	if e := z.Lookup(prefix + "byteorder"); e != nil {
		if order, err := e.Read(64); err != nil || string(order) != "little" {
			return nil, fmt.Errorf("byte order is %q; only little is read", order)
		}
	}
	text, err := z.Lookup(main).Read(pickle.Limit)
	if err != nil {
		return nil, fmt.Errorf("entry %q: %w", archive.Short(main), err)
	}
	h := &host{storages: map[string]*Storage{}, script: z.Lookup(prefix+"constants.pkl") != nil}
	h.locate = func(s *Storage) error {
		e := z.Lookup(prefix + "data/" + s.key)
		switch {
		case e == nil:
			return fmt.Errorf("zip archive has no entry %q", archive.Short(prefix+"data/"+s.key))
		case e.Size < s.Bytes:
			return fmt.Errorf("storage %q takes %d bytes, but its entry has %d", archive.Short(s.key), s.Bytes, e.Size)
		}
		s.Entry, s.Offset = e, e.Offset
		return nil
	}
	v, _, ops, err := pickle.Read(text, h)
	if err != nil {
		return nil, h.explain(err)
	}
	return h.file(v, ops)
}

// magic is the number that the older form begins with.
const magic = "119547037146038801333356"

// readLegacy reads the older form: pickles of a magic number, a version, facts
// about the machine, the object, and the keys of the storages, which follow.
func readLegacy(r io.ReaderAt, size int64) (*File, error) {
	at := int64(0)
	h := &host{storages: map[string]*Storage{}}
	next := func() (any, int, error) {
		v, n, ops, err := readPickle(r, at, size, h)
		at += int64(n)
		return v, ops, err
	}
	first, _, err := next()
	if err != nil || fmt.Sprint(first) != magic {
		return nil, errors.New("is a Python pickle, but not one that torch.save wrote")
	}
	if v, _, err := next(); err != nil || v != int64(1001) {
		return nil, errors.New("has a version that is not read; want 1001")
	}
	about, _, err := next()
	if err != nil {
		return nil, err
	}
	if d, ok := about.(*pickle.Dict); ok {
		if little, ok := d.Get("little_endian"); ok && little != true {
			return nil, errors.New("was written on a big-endian machine, which is not read")
		}
	}
	object, ops, err := next()
	if err != nil {
		return nil, h.explain(err)
	}
	keys, _, err := next()
	if err != nil {
		return nil, fmt.Errorf("keys of the storages: %w", err)
	}
	list, ok := keys.(*pickle.List)
	if !ok {
		return nil, fmt.Errorf("keys of the storages are %s, not a list", pickle.Kind(keys))
	}
	if err := h.place(r, at, size, list.Items); err != nil {
		return nil, err
	}
	return h.file(object, ops)
}

// readPickle reads the pickle at a place of a file, of which it reads no more
// than it needs and some.
func readPickle(r io.ReaderAt, at, size int64, h *host) (v any, n, ops int, err error) {
	for most := int64(1 << 18); ; most *= 8 {
		most = min(most, size-at, pickle.Limit)
		data := make([]byte, most)
		if k, err := r.ReadAt(data, at); int64(k) < most {
			return nil, 0, 0, err
		}
		known := h.storages
		h.storages = map[string]*Storage{}
		for k, s := range known {
			h.storages[k] = s
		}
		if v, n, ops, err = pickle.Read(data, h); err == nil || most == min(size-at, pickle.Limit) {
			return v, n, ops, err
		}
		if h.storages = known; !errors.Is(err, pickle.ErrShort) {
			return nil, 0, 0, err
		}
	}
}

// place finds the storages of the older form: for each key the number of
// elements, and their bytes.
func (h *host) place(r io.ReaderAt, at, size int64, keys []any) error {
	seen := map[string]bool{}
	for _, k := range keys {
		key, ok := k.(string)
		s := h.storages[key]
		if !ok || s == nil || seen[key] {
			return fmt.Errorf("storage %.40q is not of this file, or there twice", fmt.Sprint(k))
		}
		seen[key] = true
		var head [8]byte
		if n, _ := r.ReadAt(head[:], at); n < 8 {
			return fmt.Errorf("ends before storage %q: cut short", archive.Short(key))
		}
		at += 8
		n := int64(0)
		for i, b := range head {
			n |= int64(b) << (8 * i)
		}
		if n < 0 || n > (size-at)/int64(s.width) || n*int64(s.width) < s.Bytes {
			return fmt.Errorf("storage %q claims %d elements of %d bytes, where %d bytes are left and %d wanted: cut short or damaged",
				archive.Short(key), n, s.width, size-at, s.Bytes)
		}
		s.Offset = at
		at += n * int64(s.width)
	}
	for key := range h.storages {
		if !seen[key] {
			return fmt.Errorf("has no storage %q", archive.Short(key))
		}
	}
	return nil
}

// Plain reports whether the elements of a tensor lie in C order without gaps.
func (t *Tensor) Plain() bool {
	step := int64(1)
	for i, n := range slices.Backward(t.Shape) {
		if n == 0 {
			return true
		}
		if n > 1 && t.Strides[i] != step {
			return false
		}
		step *= int64(n)
	}
	return true
}

// Bytes is the size of the tensor's elements.
func (t *Tensor) Bytes() int64 {
	n := int64(t.Width)
	for _, s := range t.Shape {
		n *= int64(s)
	}
	return n
}

// Gather returns the elements in C order from the bytes of the storage.
func (t *Tensor) Gather(storage []byte) []byte {
	size := t.Bytes()
	out := make([]byte, 0, size)
	at, from, w := make([]int, len(t.Shape)), t.Start, int64(t.Width)
	for int64(len(out)) < size {
		out = append(out, storage[from:from+w]...)
		for i := len(at) - 1; i >= 0; i-- {
			at[i]++
			from += t.Strides[i] * w
			if at[i] < t.Shape[i] {
				break
			}
			from -= int64(at[i]) * t.Strides[i] * w
			at[i] = 0
		}
	}
	return out
}
