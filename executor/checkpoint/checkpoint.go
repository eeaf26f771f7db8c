// Package checkpoint reads model weights in safetensors, in the files of
// PyTorch (.pt, .pth, .bin), of NumPy (.npz, .npy) and of ONNX, and writes safetensors:
// a single file, or a Hugging Face folder with model.safetensors, with
// pytorch_model.bin, or with shards and their index.json.
//
// Open reads headers only and proves them; Prove holds them against what a
// plan wants and reports every mismatch at once; View then gives the bytes of a
// tensor without a copy, from a file mapped into memory. Where the system
// cannot map files, tensors are read when they are asked for.
//
// The header is read here and not by github.com/nlpodyssey/safetensors because
// that library rejects a whole file for one tensor of a dtype it does not know
// (all 8-bit floats), keeps the last of duplicate keys without a word, decodes
// a header of 100 MB before it looks at the length of the data, and has neither
// files nor shards. Its reader and writer serve as the second opinion in tests.
//
// Tensors of PyTorch and NumPy that lie in their file compressed, with gaps or
// in another order are made when they are asked for.
//
// Not here: GGUF (executor/gguf), conversion between element types, machines whose
// byte order is big-endian, and defence against a file that another program
// shortens while it is mapped (the system answers that with a signal).
package checkpoint

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"pipe.dev/compiler/ir"
)

// Tensor is what the header says of one tensor.
type Tensor struct {
	Name   string
	Raw    string   // dtype as the file spells it: "BF16", "F8_E4M3"
	DType  ir.DType // ir.Invalid when pipe cannot compute with Raw
	Shape  []int    // outermost first; empty for a scalar; not to be changed
	Bytes  int64    // length of the data
	File   string   // the file or shard that holds it
	Offset int64    // of the data in File, in bytes; any alignment
	Form
}

// Checkpoint is an open checkpoint. Its methods may be called concurrently,
// but for Close.
type Checkpoint struct {
	path     string
	tensors  []Tensor       // in natural order of their names
	index    map[string]int // into tensors
	metadata map[string]string
	files    map[string]contents // by Tensor.File
	made     map[string]*made    // by name: tensors that do not lie in a file as they are

	mu     sync.RWMutex
	closed bool
}

// Open opens the checkpoint at path: a file of weights, an index.json, or a
// folder. In a folder it takes model.safetensors, else
// model.safetensors.index.json, else the only index or the only .safetensors
// file there is; without these pytorch_model.bin, its index, or the only file
// of another format. It reads and proves the headers, and no data. Every error is
// an *Error.
func Open(path string) (*Checkpoint, error) {
	file, err := locate(path)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{path: path, index: map[string]int{}, metadata: map[string]string{}, files: map[string]contents{}, made: map[string]*made{}}
	if isIndex(file) {
		err = c.openShards(file)
	} else {
		var h layout
		if h, err = c.openFile(file); err == nil {
			c.tensors, c.metadata = h.tensors, h.metadata
			c.keep(h, h.tensors)
		}
	}
	if err != nil {
		c.Close() // err is what matters
		return nil, err
	}
	c.sort()
	return c, nil
}

// None is a checkpoint of no tensors, for what computes without weights.
func None() *Checkpoint {
	return &Checkpoint{path: "from", index: map[string]int{}, metadata: map[string]string{}, files: map[string]contents{}, made: map[string]*made{}}
}

// openFile reads the header of one file and keeps its contents for View.
func (c *Checkpoint) openFile(file string) (layout, error) {
	f, size, err := openRegular(file)
	if err != nil {
		return layout{}, err
	}
	l, m, err := readFile(f, size, file)
	if err != nil {
		return layout{}, FileError(file, err)
	}
	for i := range l.tensors {
		l.tensors[i].File = file
	}
	c.files[file] = m
	return l, nil
}

// readFile reads the header of f, which it closes or maps.
func readFile(f *os.File, size int64, file string) (layout, contents, error) {
	if size == 0 {
		f.Close()
		return layout{}, nil, errEmpty
	}
	kind, err := formatOf(f, size, file)
	var l layout
	if err == nil && kind == nil {
		l, err = readHeader(f, size)
	}
	if err != nil {
		f.Close()
		return layout{}, nil, err
	}
	m, err := mapFile(f, size)
	if err != nil {
		return layout{}, nil, err
	}
	if kind != nil {
		if l, err = kind.read(m, size, file); err != nil {
			m.close()
			return layout{}, nil, err
		}
	}
	return l, m, nil
}

// keep remembers how those of tensors are made that do not lie in the file.
func (c *Checkpoint) keep(l layout, tensors []Tensor) {
	for _, t := range tensors {
		if f, ok := l.made[t.Name]; ok {
			c.made[t.Name] = &made{f: f}
		}
	}
}

// openRegular opens a file to read and returns its length in bytes. Anything
// but a regular file is refused before it is opened, since opening a pipe
// could wait for ever.
func openRegular(file string) (*os.File, int64, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, 0, FileError(file, err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errorf(file, "is not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, FileError(file, err)
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, 0, FileError(file, err)
	}
	return f, info.Size(), nil
}

// Path returns what Open was given.
func (c *Checkpoint) Path() string { return c.path }

// Tensors lists all tensors in the natural order of their names: layers.2
// before layers.10.
func (c *Checkpoint) Tensors() []Tensor { return slices.Clone(c.tensors) }

// Lookup finds a tensor by its name.
func (c *Checkpoint) Lookup(name string) (Tensor, bool) {
	i, ok := c.index[name]
	if !ok && Stacked(name) {
		return c.stack(name)
	}
	if !ok {
		return Tensor{}, false
	}
	return c.tensors[i], true
}

// Name is what the checkpoint calls the weight at path: the path itself, or,
// where that is not there, the path with one of the prefixes or without it.
func (c *Checkpoint) Name(path string, prefixes []string) string {
	if _, ok := c.Lookup(path); ok {
		return path
	}
	for _, p := range prefixes {
		for _, name := range []string{p + path, strings.TrimPrefix(path, p)} {
			if _, ok := c.Lookup(name); ok {
				return name
			}
		}
	}
	return path
}

// Metadata returns the __metadata__ of the file. Of shards it is the union;
// where they disagree, the first shard by name counts.
func (c *Checkpoint) Metadata() map[string]string { return maps.Clone(c.metadata) }

// Close unmaps the files; every view is invalid then, and touching one ends
// the process. Closing again does nothing.
func (c *Checkpoint) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	var errs []error
	for _, file := range slices.Sorted(maps.Keys(c.files)) {
		if err := c.files[file].close(); err != nil {
			errs = append(errs, FileError(file, err))
		}
	}
	return errors.Join(errs...)
}

// Type returns the type of t; its DType is ir.Invalid when pipe cannot compute
// with it.
func (t Tensor) Type() ir.Type { return ir.T(t.DType, t.Shape...) }

// label names the file in messages about all of the checkpoint: the one file,
// or the folder of several.
func (c *Checkpoint) label() string {
	if len(c.files) == 1 {
		for file := range c.files {
			return file
		}
	}
	return c.path
}

// shard returns " in FILE" for a tensor of one of several files.
func (c *Checkpoint) shard(t Tensor) string {
	if len(c.files) > 1 {
		return " in " + filepath.Base(t.File)
	}
	return ""
}

func (c *Checkpoint) names() []string {
	names := make([]string, len(c.tensors))
	for i, t := range c.tensors {
		names[i] = t.Name
	}
	return names
}
