package convert

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
)

// writeFolder writes model.safetensors, or shards of it with an index, and
// copies what stands beside the weights of the source. The folder is put in
// place when it is whole.
func writeFolder(j *job) ([]string, error) {
	return inFolder(j.Out, func(dir string) ([]string, error) {
		names, err := j.writeShards(dir)
		if err != nil {
			return nil, err
		}
		if info, err := os.Stat(j.In); err == nil && info.IsDir() {
			for _, name := range besideWeights(j.In) {
				if err := j.copyFile(name, dir); err != nil {
					return nil, err
				}
				names = append(names, name)
			}
		}
		if j.Model != nil {
			for _, name := range slices.Sorted(maps.Keys(j.Model.Files)) {
				if err := j.putFile(name, j.Model.Files[name], dir); err != nil {
					return nil, err
				}
				names = append(names, name)
			}
		}
		return names, nil
	})
}

// inFolder makes a folder with the files that write names, which is put in place
// when it is whole. It returns their paths.
func inFolder(path string, write func(dir string) (names []string, err error)) ([]string, error) {
	out := filepath.Clean(path)
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
	names, err := write(temporary)
	if err != nil {
		return nil, err
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
	known := []string{".safetensors", ".json", ".txt", ".model", ".jinja", ".md", ".tiktoken", ".bin", ".cue"}
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
	if j.pairs != nil || j.Model != nil || len(metadata) == 0 || metadata["format"] == "" {
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

// copyFile copies a file beside the weights.
func (j *job) copyFile(name, dir string) error {
	text, err := os.ReadFile(filepath.Join(j.In, name))
	if err != nil {
		return err
	}
	return j.putFile(name, text, dir)
}

// putFile writes a file beside the weights. The config says the new type, and no
// longer how weights are quantised that are written as what they stand for.
func (j *job) putFile(name string, text []byte, dir string) error {
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
		var err error
		if text, err = json.MarshalIndent(config, "", "  "); err != nil {
			return err
		}
		text = append(text, '\n')
	}
	return os.WriteFile(filepath.Join(dir, name), text, 0o644)
}

// besideWeights lists the files beside weights that belong to a model.
func besideWeights(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		name := e.Name()
		known := []string{".json", ".txt", ".model", ".jinja", ".md", ".tiktoken"}
		if e.IsDir() || strings.HasSuffix(name, ".index.json") || !slices.Contains(known, filepath.Ext(name)) {
			continue
		}
		out = append(out, name)
	}
	return out
}
