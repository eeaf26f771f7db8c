package convert

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/gguf"
	"pipe.dev/executor/npy"
	"pipe.dev/executor/torch"
)

// sink is a format that is written.
type sink struct {
	name    string
	exts    []string
	accepts func(t checkpoint.Tensor) error
	widen   func(t checkpoint.Tensor) checkpoint.Tensor // what it lacks, as something it has; may be nil
	write   func(j *job) (files []string, err error)
}

// sinks is the table of them. A path without one of the extensions is a folder.
func sinks() []sink {
	return []sink{
		{"safetensors", []string{".safetensors"}, anything, nil, writeSafetensors},
		{"torch", []string{".pt", ".pth", ".bin"}, anything, nil, writeTorch},
		{"npz", []string{".npz", ".npy"}, acceptsNumPy, widenBF16, writeNPZ},
		{"gguf", []string{".gguf"}, acceptsGGUF, nil, writeGGUF},
		{"folder", []string{"", "/"}, anything, nil, writeFolder},
	}
}

func sinkOf(o Options) (sink, error) {
	ext := strings.ToLower(filepath.Ext(o.Out))
	if info, err := os.Stat(o.Out); err == nil && info.IsDir() || strings.HasSuffix(o.Out, "/") {
		ext = ""
	}
	for _, s := range sinks() {
		if slices.Contains(s.exts, ext) {
			if o.Shard > 0 && s.name != "folder" {
				return sink{}, &checkpoint.Error{File: o.Out, Msg: "is one file; --shard-size is for a folder"}
			}
			return s, nil
		}
	}
	if !strings.ContainsFunc(ext, func(r rune) bool { return r >= 'a' && r <= 'z' }) {
		return sinks()[4], nil // a folder such as model-v1.0
	}
	return sink{}, &checkpoint.Error{File: o.Out, Msg: fmt.Sprintf("extension %q is not one of .safetensors, .pt, .pth, .bin, .npz, .npy or .gguf, nor a folder", ext)}
}

// ToFolder reports whether what is written is a folder.
func ToFolder(o Options) bool {
	s, err := sinkOf(o)
	return err == nil && s.name == "folder"
}

func anything(checkpoint.Tensor) error { return nil }

func writeSafetensors(j *job) ([]string, error) {
	err := checkpoint.Replace(j.Out, func(w io.Writer) error {
		return checkpoint.StreamTensors(w, j.tensors(), j.metadata, func(t checkpoint.Tensor, w io.Writer) error { return j.copy(t.Name, w) })
	})
	return []string{j.Out}, err
}

func (j *job) tensors() []checkpoint.Tensor {
	var list []checkpoint.Tensor
	for _, i := range j.items {
		list = append(list, i.to)
	}
	return list
}

func writeTorch(j *job) ([]string, error) {
	var list []torch.Entry
	for _, i := range j.items {
		list = append(list, torch.Entry{Name: i.to.Name, DType: i.to.Raw, Shape: i.to.Shape, Bytes: i.to.Bytes})
	}
	err := checkpoint.Replace(j.Out, func(w io.Writer) error {
		return torch.Write(w, list, func(e torch.Entry, w io.Writer) error { return j.copy(e.Name, w) })
	})
	return []string{j.Out}, err
}

// descrs are the types of NumPy.
var descrs = map[string]string{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
	"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1", "C64": "<c8", "C128": "<c16"}

func acceptsNumPy(t checkpoint.Tensor) error {
	if descrs[t.Raw] == "" {
		return fmt.Errorf("NumPy has no dtype %s: --dtype f32 writes weights as float32", t.Raw)
	}
	return nil
}

// widenBF16 gives NumPy, which has no bf16, its values as f32.
func widenBF16(t checkpoint.Tensor) checkpoint.Tensor {
	if t.DType == ir.BF16 {
		t.DType, t.Raw, t.Bytes = ir.F32, "F32", 2*t.Bytes
	}
	return t
}

func writeNPZ(j *job) ([]string, error) {
	single := strings.EqualFold(filepath.Ext(j.Out), ".npy")
	if single && len(j.items) != 1 {
		return nil, fmt.Errorf("holds one tensor, not %d: write a .npz", len(j.items))
	}
	array := func(w io.Writer, t checkpoint.Tensor) error {
		if _, err := w.Write(npy.Head(descrs[t.Raw], t.Shape)); err != nil {
			return err
		}
		return j.copy(t.Name, w)
	}
	err := checkpoint.Replace(j.Out, func(w io.Writer) error {
		if single {
			return array(w, j.items[0].to)
		}
		z := zip.NewWriter(w)
		for _, i := range j.items {
			e, err := z.CreateHeader(&zip.FileHeader{Name: i.to.Name + ".npy", Method: zip.Store})
			if err != nil {
				return err
			}
			if err := array(e, i.to); err != nil {
				return err
			}
		}
		return z.Close()
	})
	return []string{j.Out}, err
}

func acceptsGGUF(t checkpoint.Tensor) error {
	if _, ok := gguf.TypeOf(strings.ToLower(t.Raw)); !ok {
		return fmt.Errorf("GGUF has no dtype %s", t.Raw)
	}
	if len(t.Shape) > 4 {
		return fmt.Errorf("has %d axes, and GGUF allows 4", len(t.Shape))
	}
	return nil
}

func writeGGUF(j *job) ([]string, error) {
	pairs := j.pairs
	if pairs == nil {
		for _, k := range sortedKeys(j.metadata) {
			pairs = append(pairs, gguf.Pair{Key: k, Value: j.metadata[k]})
		}
	}
	var list []gguf.Data
	for _, i := range j.items {
		typ, _ := gguf.TypeOf(strings.ToLower(i.to.Raw))
		shape := make([]int64, len(i.to.Shape))
		for k, n := range i.to.Shape {
			shape[k] = int64(n)
		}
		list = append(list, gguf.Data{Name: i.to.Name, Type: typ, Shape: shape, Write: func(w io.Writer) error { return j.copy(i.to.Name, w) }})
	}
	err := checkpoint.Replace(j.Out, func(w io.Writer) error { return gguf.Write(w, pairs, list) })
	return []string{j.Out}, err
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
