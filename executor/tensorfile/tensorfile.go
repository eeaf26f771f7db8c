// Package tensorfile reads and writes tensors that are exchanged with other
// programs: NumPy's .npy and .npz, and .safetensors. The extension of a file
// says which.
//
// Whatever the file holds, a Tensor is little-endian and in C order, and its
// element type is one that pipe computes with: 16-bit integers and unsigned
// 32-bit ones are widened, which keeps every value. bfloat16, which .npy does
// not know, is written there as float32.
//
// Not here: objects (pickles), structured and complex arrays, text, and reading
// parts of a file; weights are read by executor/checkpoint.
package tensorfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/npy"
)

// Tensor is a tensor with its values.
type Tensor struct {
	Name string
	Type ir.Type // Known
	Data []byte  // little-endian, C order (outermost axis first)
}

// format is a kind of file.
type format struct {
	ext   string
	read  func(path string) ([]Tensor, error)
	write func(path string, ts []Tensor) error
}

func formats() []format {
	return []format{
		{".npy", readNPYFile, writeNPYFile},
		{".npz", readNPZFile, writeNPZFile},
		{".safetensors", readSafetensors, writeSafetensors},
	}
}

// formatOf finds the format of path by its extension.
func formatOf(path string) (format, error) {
	var exts []string
	for _, f := range formats() {
		if strings.EqualFold(filepath.Ext(path), f.ext) {
			return f, nil
		}
		exts = append(exts, f.ext)
	}
	return format{}, &checkpoint.Error{File: path, Msg: fmt.Sprintf("extension %q is not one of %s", filepath.Ext(path), strings.Join(exts, ", "))}
}

// Read reads all tensors of a file: of .npy the one, named after the file
// without its extension; of .npz in the order of the archive; of .safetensors
// in the natural order of their names. Memory is bounded by the size of the
// file (see npz for archives), whatever its header claims. Every error is a
// *checkpoint.Error.
func Read(path string) ([]Tensor, error) {
	f, err := formatOf(path)
	if err != nil {
		return nil, err
	}
	// Opening a pipe could wait for ever.
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a regular file")
	}
	if err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	ts, err := f.read(path)
	if err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	return ts, nil
}

// Write writes tensors to a file, whole or not at all. A .npy file takes
// exactly one; elsewhere the names must differ. The same tensors give the same
// bytes. Every error is a *checkpoint.Error.
func Write(path string, ts []Tensor) error {
	f, err := formatOf(path)
	if err != nil {
		return err
	}
	for _, t := range ts {
		if err := t.check(); err != nil {
			return checkpoint.FileError(path, err)
		}
	}
	if err := f.write(path, ts); err != nil {
		return checkpoint.FileError(path, err)
	}
	return nil
}

// check proves that the data of t fit its type.
func (t Tensor) check() error {
	switch {
	case t.Type.DType == ir.Invalid || !t.Type.Known():
		return fmt.Errorf("tensor %q has type %s, which is not fully known", t.Name, t.Type)
	case slices.ContainsFunc(t.Type.Sizes(), func(n int) bool { return n < 0 }):
		return fmt.Errorf("tensor %q has type %s with a negative size", t.Name, t.Type)
	}
	size := t.Type.DType.Size()
	n, ok := npy.Product(t.Type.Sizes(), size)
	switch {
	case !ok:
		return fmt.Errorf("tensor %q has type %s with more bytes than can be counted", t.Name, t.Type)
	case n*size != len(t.Data):
		return fmt.Errorf("tensor %q has type %s of %d bytes, but %d bytes of data", t.Name, t.Type, n*size, len(t.Data))
	}
	return nil
}

func readSafetensors(path string) ([]Tensor, error) {
	c, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var out []Tensor
	for _, t := range c.Tensors() {
		e, ok := safetensorsElement(t)
		if !ok {
			return nil, fmt.Errorf("tensor %q has dtype %q, which cannot be computed with", t.Name, t.Raw)
		}
		view, err := c.View(t.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, Tensor{t.Name, ir.T(e.To, t.Shape...), e.Convert(bytes.Clone(view))})
	}
	return out, nil
}

func safetensorsElement(t checkpoint.Tensor) (npy.Element, bool) {
	switch t.Raw {
	case "I16":
		return npy.Element{Size: 2, To: ir.I32, Signed: true}, true
	case "U16":
		return npy.Element{Size: 2, To: ir.I32}, true
	case "U32":
		return npy.Element{Size: 4, To: ir.I64}, true
	}
	return npy.Element{Size: t.DType.Size(), To: t.DType}, t.DType != ir.Invalid
}

func writeSafetensors(path string, ts []Tensor) error {
	data := make([]checkpoint.Data, len(ts))
	for i, t := range ts {
		data[i] = checkpoint.Data{Name: t.Name, Type: t.Type, Bytes: t.Data}
	}
	return checkpoint.Write(path, data, nil)
}
