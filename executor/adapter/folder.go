package adapter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

// weightFiles are the ends of the names of files that hold weights, in other
// forms: a copy of them would be of the model as it was.
var weightFiles = []string{".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx"}

// rewrite writes the folder Out, whole or not at all: that of the model, with
// adapted weights changed by c.
func (m *job) rewrite(ctx context.Context, c change) (err error) {
	out := filepath.Clean(m.Out)
	if _, err := os.Lstat(out); err == nil {
		return errorf(out, "exists already")
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return checkpoint.FileError(out, err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+"-")
	if err != nil {
		return checkpoint.FileError(out, err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(temp) // err says more than what this may say
		}
	}()
	if err := os.Chmod(temp, 0o755); err != nil {
		return checkpoint.FileError(temp, err)
	}
	if err := m.copyOthers(temp); err != nil {
		return err
	}
	var files []string
	for _, t := range m.model.Tensors() {
		if !slices.Contains(files, t.File) {
			files = append(files, t.File)
		}
	}
	slices.Sort(files)
	for _, file := range files {
		write := func(w io.Writer) error { return m.patch(ctx, w, file, c) }
		if m.DType != ir.Invalid && c != nil {
			write = func(w io.Writer) error { return m.encode(ctx, w, file, c) }
		}
		if err := checkpoint.Replace(filepath.Join(temp, filepath.Base(file)), write); err != nil {
			return err
		}
	}
	if err := os.Rename(temp, out); err != nil {
		return checkpoint.FileError(out, err)
	}
	return nil
}

// copyOthers copies what stands in the model's folder beside the weights.
func (m *job) copyOthers(to string) error {
	entries, err := os.ReadDir(m.Model)
	if err != nil {
		return checkpoint.FileError(m.Model, err)
	}
	for _, e := range entries {
		name := filepath.Join(m.Model, e.Name())
		info, err := os.Stat(name) // follows links, as caches of models have them
		if err != nil {
			return checkpoint.FileError(name, err)
		}
		if !info.Mode().IsRegular() || slices.ContainsFunc(weightFiles, func(end string) bool { return strings.HasSuffix(e.Name(), end) }) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return checkpoint.FileError(name, err)
		}
		if m.DType != ir.Invalid {
			if text, err = m.retyped(name, text); err != nil {
				return err
			}
		}
		if err := checkpoint.Replace(filepath.Join(to, e.Name()), func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
			return err
		}
	}
	return nil
}

// retyped changes the files that name the element type or the size of weights.
func (m *job) retyped(name string, text []byte) ([]byte, error) {
	isConfig := filepath.Base(name) == "config.json"
	if !isConfig && !strings.HasSuffix(name, ".safetensors.index.json") {
		return text, nil
	}
	var o map[string]any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		return nil, checkpoint.FileError(name, err)
	}
	if isConfig {
		delete(o, "torch_dtype")
		o["dtype"] = map[ir.DType]string{ir.F32: "float32", ir.BF16: "bfloat16", ir.F16: "float16", ir.F64: "float64"}[m.DType]
	} else {
		var bytes int64
		for _, t := range m.model.Tensors() {
			bytes += t.Bytes
			if t.DType.Float() {
				bytes += int64(elems(t.Shape)*m.DType.Size()) - t.Bytes
			}
		}
		o["metadata"] = map[string]any{"total_size": bytes}
	}
	out, err := json.MarshalIndent(o, "", "  ")
	return append(out, '\n'), err
}

// patch copies a file of weights, byte for byte but for the adapted ones.
func (m *job) patch(ctx context.Context, w io.Writer, file string, c change) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	at := int64(0)
	for _, t := range m.tensors(file) {
		if _, ok := m.adapted[t.Name]; !ok {
			continue
		}
		if _, err := io.CopyN(w, f, t.Offset-at); err != nil {
			return err
		}
		data, err := m.values(ctx, weight{t, t.DType}, c)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		at = t.Offset + t.Bytes
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return err
		}
		m.model.Release(t.Name)
		m.progress(at)
	}
	for {
		n, err := io.CopyN(w, f, 1<<24)
		if at += n; errors.Is(err, io.EOF) {
			m.progress(at)
			m.done += at
			return nil
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		m.progress(at)
	}
}

// encode writes a file of weights anew, in another element type.
func (m *job) encode(ctx context.Context, w io.Writer, file string, c change) error {
	var list []checkpoint.Data
	for _, t := range m.tensors(file) {
		d := checkpoint.Data{Name: t.Name, Type: t.Type()}
		if t.DType.Float() {
			d.Type = d.Type.As(m.DType)
		}
		list = append(list, d)
	}
	err := checkpoint.Stream(w, list, m.model.Metadata(), func(d checkpoint.Data) ([]byte, error) {
		t, _ := m.model.Lookup(d.Name)
		m.progress(t.Offset)
		if _, ok := m.adapted[t.Name]; ok {
			return m.values(ctx, weight{t, m.DType}, c)
		}
		data, err := m.model.View(t.Name)
		if err == nil && d.Type.DType != t.DType {
			data = tensorfile.AppendFloats(nil, m.DType, tensorfile.Tensor{Type: t.Type(), Data: data}.Float64s()...)
		}
		return data, cmp.Or(err, ctx.Err())
	})
	if info, e := os.Stat(file); e == nil {
		m.done += info.Size()
	}
	return err
}

// tensors are those of a file, in its order.
func (m *job) tensors(file string) []checkpoint.Tensor {
	list := slices.DeleteFunc(m.model.Tensors(), func(t checkpoint.Tensor) bool { return t.File != file })
	slices.SortFunc(list, func(a, b checkpoint.Tensor) int { return cmp.Compare(a.Offset, b.Offset) })
	return list
}

// progress tells how many bytes of all files are done.
func (m *job) progress(at int64) {
	if m.Progress == nil {
		return
	}
	var total int64
	for _, t := range m.model.Tensors() {
		total += t.Bytes
	}
	m.Progress(min(m.done+at, total), total)
}
