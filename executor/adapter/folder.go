package adapter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	files := m.files()
	other := c != nil && !slices.ContainsFunc(files, isSafetensors) // what is not safetensors becomes that
	if err := m.copyOthers(temp, files, other); err != nil {
		return err
	}
	weights := map[string]string{} // file by name
	for i, file := range files {
		name, write := filepath.Base(file), func(w io.Writer) error { return m.patch(ctx, w, file, c) }
		if c != nil && (other || m.DType != ir.Invalid) {
			write = func(w io.Writer) error { return m.encode(ctx, w, file, c) }
		}
		if other {
			name = shardName(i, len(files))
		}
		if err := checkpoint.Replace(filepath.Join(temp, name), write); err != nil {
			return err
		}
		for _, t := range m.tensors(file) {
			weights[t.Name] = name
		}
	}
	if other && len(files) > 1 {
		if err := m.writeIndex(temp, weights); err != nil {
			return err
		}
	}
	if err := os.Rename(temp, out); err != nil {
		return checkpoint.FileError(out, err)
	}
	return nil
}

// files are those of the weights.
func (m *job) files() []string {
	var files []string
	for _, t := range m.model.Tensors() {
		if !slices.Contains(files, t.File) {
			files = append(files, t.File)
		}
	}
	slices.Sort(files)
	return files
}

func isSafetensors(file string) bool { return strings.HasSuffix(file, ".safetensors") }

// shardName is the name of file i of n, counted from 0.
func shardName(i, n int) string {
	if n == 1 {
		return "model.safetensors"
	}
	return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n)
}

// writeIndex says which shard has which weight.
func (m *job) writeIndex(to string, weights map[string]string) error {
	text, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": m.size()}, "weight_map": weights}, "", "  ")
	if err != nil {
		return err
	}
	return checkpoint.Replace(filepath.Join(to, "model.safetensors.index.json"), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// size is the bytes of all weights as they are written.
func (m *job) size() (bytes int64) {
	for _, t := range m.model.Tensors() {
		bytes += m.written(t).Bytes
	}
	return bytes
}

// written is what becomes of a tensor where its file is written anew.
func (m *job) written(t checkpoint.Tensor) checkpoint.Tensor {
	if m.DType == ir.Invalid || !t.DType.Float() {
		return t
	}
	t.DType, t.Raw = m.DType, strings.ToUpper(m.DType.String())
	t.Bytes = t.Type().Bytes()
	return t
}

// copyOthers copies what stands in the model's folder beside the weights. An
// index goes along with shards of its format, unless they get another (other).
func (m *job) copyOthers(to string, shards []string, other bool) error {
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
		if format, ok := strings.CutSuffix(e.Name(), ".index.json"); ok {
			if other || !slices.ContainsFunc(shards, func(s string) bool { return filepath.Ext(s) == filepath.Ext(format) }) {
				continue
			}
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
		o["metadata"] = map[string]any{"total_size": m.size()}
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

// encode writes a file of weights anew, as safetensors, in another element type
// if one is wanted.
func (m *job) encode(ctx context.Context, w io.Writer, file string, c change) error {
	var list []checkpoint.Tensor
	for _, t := range m.tensors(file) {
		list = append(list, m.written(t))
	}
	metadata := m.model.Metadata()
	if !isSafetensors(file) {
		metadata = map[string]string{"format": "pt"} // as transformers wants it
	}
	return checkpoint.StreamTensors(w, list, metadata, func(to checkpoint.Tensor, w io.Writer) error {
		t, _ := m.model.Lookup(to.Name)
		defer m.model.Release(t.Name)
		m.progress(0)
		m.done += t.Bytes
		var data []byte
		var err error
		if _, ok := m.adapted[t.Name]; ok {
			data, err = m.values(ctx, weight{t, to.DType}, c)
		} else if data, err = m.model.View(t.Name); err == nil && to.DType != t.DType {
			data = tensorfile.AppendFloats(nil, to.DType, tensorfile.Tensor{Type: t.Type(), Data: data}.Float64s()...)
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
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
