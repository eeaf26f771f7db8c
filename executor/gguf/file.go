package gguf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// Pair is one entry of the metadata. Its value is a uint8, int8, uint16,
// int16, uint32, int32, uint64, int64, float32, float64, bool or string, or a
// slice of one of these, or [][]T as []any.
type Pair struct {
	Key   string
	Value any
}

// Tensor is where a tensor lies.
type Tensor struct {
	Name   string
	Type   Type
	Shape  []int64 // innermost axis last; the file has it first
	Offset int64   // bytes from the beginning of the file
	Bytes  int64
}

// File is an open file.
type File struct {
	Version  uint32
	Metadata []Pair   // in the order of the file
	Tensors  []Tensor // in the order of the file

	file  *checkpoint.File
	index map[string]int
}

// Open reads the header of a file, and no data. Every error is a
// *checkpoint.Error.
func Open(path string) (*File, error) {
	in, err := checkpoint.OpenFile(path)
	if err != nil {
		return nil, err
	}
	f := &File{file: in, index: map[string]int{}}
	if err := f.read(); err != nil {
		in.Close() // err is what matters
		return nil, checkpoint.FileError(path, err)
	}
	return f, nil
}

// Lookup finds a tensor by name.
func (f *File) Lookup(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// Value is the metadata under a key, or nil.
func (f *File) Value(key string) any {
	for _, p := range f.Metadata {
		if p.Key == key {
			return p.Value
		}
	}
	return nil
}

// View returns the data of a tensor, which stay valid until Close and must not
// be changed.
func (f *File) View(name string) ([]byte, error) {
	t, ok := f.Lookup(name)
	if !ok {
		return nil, &checkpoint.Error{File: f.file.Path(), Msg: fmt.Sprintf("has no tensor %q", name)}
	}
	return f.file.View(t.Offset, t.Bytes)
}

// Close gives the file back; views become invalid.
func (f *File) Close() error { return f.file.Close() }

// Checkpoint gives the tensors as those of a checkpoint, which takes the file
// over: f must not be used any more. form says how each lies; nil is as it is.
func (f *File) Checkpoint(form func(name string) checkpoint.Form) (*checkpoint.Checkpoint, error) {
	var list []checkpoint.Tensor
	for _, t := range f.Tensors {
		c := checkpoint.Tensor{Name: t.Name, Raw: strings.ToUpper(t.Type.String()), DType: t.Type.DType(), Bytes: t.Bytes, Offset: t.Offset}
		for _, n := range t.Shape {
			c.Shape = append(c.Shape, int(n))
		}
		if form != nil {
			c.Form = form(t.Name)
		}
		list = append(list, c)
	}
	return checkpoint.Assemble(f.file, list)
}

// Size is the length of the file in bytes.
func (f *File) Size() int64 { return f.file.Size() }

// read reads and checks the header.
func (f *File) read() error {
	r := &reader{file: f.file}
	magic := r.take(4)
	if r.err == nil && string(magic) != "GGUF" {
		return fmt.Errorf("is no GGUF file: it begins with %q", magic)
	}
	f.Version = r.u32()
	tensors, pairs := r.u64(), r.u64()
	switch {
	case r.err != nil:
		return r.err
	case f.Version == 0x02000000 || f.Version == 0x03000000:
		return fmt.Errorf("is big-endian, which is not read")
	case f.Version != 2 && f.Version != 3:
		return fmt.Errorf("has version %d of GGUF; 2 and 3 are read", f.Version)
	}
	if err := r.room("tensors", tensors, 24); err != nil {
		return err
	}
	if err := r.room("metadata", pairs, 13); err != nil {
		return err
	}
	seen := map[string]bool{}
	for range pairs {
		p := Pair{Key: r.text("a key of the metadata")}
		p.Value = r.value(p.Key, r.u32(), 0)
		if r.err != nil {
			return r.err
		}
		if seen[p.Key] {
			return fmt.Errorf("metadata has %q twice", p.Key)
		}
		seen[p.Key] = true
		f.Metadata = append(f.Metadata, p)
	}
	return f.readTensors(r, tensors)
}

// readTensors reads where tensors lie.
func (f *File) readTensors(r *reader, n uint64) error {
	for range n {
		t := Tensor{Name: r.text("the name of a tensor")}
		axes := r.u32()
		if r.err == nil && axes > 4 {
			return fmt.Errorf("tensor %s has %d axes, more than 4", t.Name, axes)
		}
		for range axes {
			t.Shape = append(t.Shape, int64(r.u64()))
		}
		t.Type, t.Offset = Type(r.u32()), int64(r.u64())
		if r.err != nil {
			return r.err
		}
		slices.Reverse(t.Shape)
		var err error
		if t.Bytes, err = t.Type.bytes(t.Shape); err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		if _, twice := f.index[t.Name]; twice {
			return fmt.Errorf("tensor %s is there twice", t.Name)
		}
		f.index[t.Name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	return f.place(r.at)
}

// place turns offsets within the data into those within the file, and checks
// that tensors lie in it and not over each other.
func (f *File) place(end int64) error {
	align := int64(defaultAlignment)
	if x := f.Value(alignmentKey); x != nil {
		n, ok := x.(uint32)
		if !ok || n == 0 || n%8 != 0 || n > 1<<20 {
			return fmt.Errorf("%s is %v; want a multiple of 8", alignmentKey, x)
		}
		align = int64(n)
	}
	start := (end + align - 1) / align * align
	size := f.file.Size()
	for i := range f.Tensors {
		t := &f.Tensors[i]
		switch {
		case t.Offset < 0 || t.Offset%align != 0:
			return fmt.Errorf("tensor %s begins at %d, which is no multiple of %d", t.Name, t.Offset, align)
		case t.Offset > size-start || t.Bytes > size-start-t.Offset:
			return fmt.Errorf("tensor %s needs bytes %d to %d, but the file ends at %d: it is cut short", t.Name, start+t.Offset, start+t.Offset+t.Bytes, size)
		}
		t.Offset += start
	}
	order := slices.Clone(f.Tensors)
	slices.SortFunc(order, func(a, b Tensor) int { return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Bytes, b.Bytes)) })
	for i := 1; i < len(order); i++ {
		if a, b := order[i-1], order[i]; a.Offset+a.Bytes > b.Offset {
			return fmt.Errorf("tensors %s and %s lie over each other", a.Name, b.Name)
		}
	}
	return nil
}
