package convert

import (
	"archive/zip"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
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

// writeFolder writes model.safetensors, or shards of it with an index, and
// copies what stands beside the weights of the source. The folder is put in
// place when it is whole.
func writeFolder(j *job) ([]string, error) {
	out := filepath.Clean(j.Out)
	if err := replaceable(out); err != nil {
		return nil, err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+".*.tmp")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary)
	if err := os.Chmod(temporary, 0o755); err != nil {
		return nil, err
	}
	names, err := j.writeShards(temporary)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(j.In); err == nil && info.IsDir() {
		for _, name := range inFolder(j.In) {
			if err := j.copyFile(name, temporary); err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	}
	if err := swap(temporary, out); err != nil {
		return nil, err
	}
	for i, n := range names {
		names[i] = filepath.Join(out, n)
	}
	return names, nil
}

// replaceable refuses a folder that holds what no model's folder does, since all
// of it would be gone.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // there is none
	}
	known := []string{".safetensors", ".json", ".txt", ".model", ".jinja", ".md", ".tiktoken", ".bin"}
	for _, e := range entries {
		if e.IsDir() || !slices.Contains(known, filepath.Ext(e.Name())) {
			return fmt.Errorf("holds %q, which belongs to no model: choose another folder", e.Name())
		}
	}
	return nil
}

// swap puts a folder in the place of what is there.
func swap(folder, out string) error {
	if _, err := os.Lstat(out); err != nil {
		return os.Rename(folder, out)
	}
	old := folder + ".old"
	if err := os.Rename(out, old); err != nil {
		return err
	}
	if err := os.Rename(folder, out); err != nil {
		return cmp.Or(os.Rename(old, out), err)
	}
	return os.RemoveAll(old)
}

// writeShards writes the weights.
func (j *job) writeShards(dir string) ([]string, error) {
	limit := j.Shard
	if limit <= 0 {
		limit = math.MaxInt64
	}
	var shards [][]checkpoint.Tensor
	var size int64
	for _, i := range j.items {
		if len(shards) == 0 || size+i.to.Bytes > limit {
			shards, size = append(shards, nil), 0
		}
		last := len(shards) - 1
		shards[last] = append(shards[last], i.to)
		size += i.to.Bytes
	}
	metadata := j.metadata
	if j.pairs != nil || len(metadata) == 0 || metadata["format"] == "" {
		metadata = map[string]string{"format": "pt"} // as transformers wants it
	}
	weights := map[string]string{}
	var names []string
	for n, list := range shards {
		name := "model.safetensors"
		if len(shards) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", n+1, len(shards))
		}
		err := checkpoint.Replace(filepath.Join(dir, name), func(w io.Writer) error {
			return checkpoint.StreamTensors(w, list, metadata, func(t checkpoint.Tensor, w io.Writer) error { return j.copy(t.Name, w) })
		})
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			weights[t.Name] = name
		}
		names = append(names, name)
	}
	if len(shards) == 1 {
		return names, nil
	}
	const index = "model.safetensors.index.json"
	text, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": j.total}, "weight_map": weights}, "", "  ")
	if err != nil {
		return nil, err
	}
	err = checkpoint.Replace(filepath.Join(dir, index), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
	return append(names, index), err
}

// copyFile copies a file beside the weights. The config says the new type, and
// no longer how weights are quantised that are written as what they stand for.
func (j *job) copyFile(name, dir string) error {
	text, err := os.ReadFile(filepath.Join(j.In, name))
	if err != nil {
		return err
	}
	if name == "config.json" && j.DType != ir.Invalid {
		var config map[string]any
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		if err := d.Decode(&config); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(j.In, name), err)
		}
		delete(config, "torch_dtype")
		delete(config, "quantization_config")
		config["dtype"] = map[ir.DType]string{ir.F32: "float32", ir.BF16: "bfloat16", ir.F16: "float16", ir.F64: "float64"}[j.DType]
		if text, err = json.MarshalIndent(config, "", "  "); err != nil {
			return err
		}
		text = append(text, '\n')
	}
	return os.WriteFile(filepath.Join(dir, name), text, 0o644)
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
