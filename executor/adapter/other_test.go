package adapter

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/executor/torch"
)

// torchFolder writes a model's folder in PyTorch's format, in n shards.
func torchFolder(t *testing.T, from string, n int) string {
	t.Helper()
	dir := t.TempDir()
	config, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	weights := tensortest.Read(t, filepath.Join(from, "model.safetensors"))
	shards, files := make([][]torch.Entry, n), map[string]string{}
	for i, name := range slices.Sorted(maps.Keys(weights)) {
		x := weights[name]
		shards[i%n] = append(shards[i%n], torch.Entry{Name: name, DType: strings.ToUpper(x.Type.DType.String()), Shape: x.Type.Sizes(), Bytes: x.Type.Bytes()})
		files[name] = fmt.Sprintf("pytorch_model-%05d-of-%05d.bin", i%n+1, n)
	}
	for i, list := range shards {
		file := "pytorch_model.bin"
		if n > 1 {
			file = fmt.Sprintf("pytorch_model-%05d-of-%05d.bin", i+1, n)
		}
		err := checkpoint.Replace(filepath.Join(dir, file), func(w io.Writer) error {
			return torch.Write(w, list, func(e torch.Entry, w io.Writer) error {
				_, err := w.Write(weights[e.Name].Data)
				return err
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n > 1 {
		text, err := json.Marshal(map[string]any{"weight_map": files})
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "pytorch_model.bin.index.json"), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// all are the weights of a folder.
func all(t *testing.T, dir string) map[string]tensorfile.Tensor {
	t.Helper()
	c, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out := map[string]tensorfile.Tensor{}
	for _, x := range c.Tensors() {
		data, err := c.View(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		out[x.Name] = tensorfile.Tensor{Name: x.Name, Type: x.Type(), Data: slices.Clone(data)}
	}
	return out
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// A base in PyTorch's format, whole or in shards, becomes a folder in
// safetensors with the weights that one in safetensors gives; taken out, it is
// the base, file by file.
func TestMergeOther(t *testing.T) {
	const base, adapter = golden + "arch/llama", golden + "adapter/lora"
	for n, want := range map[int][]string{
		1: {"config.json", "model.safetensors"},
		2: {"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"},
	} {
		for _, to := range []ir.DType{ir.Invalid, ir.BF16} {
			other, tmp := torchFolder(t, base, n), t.TempDir()
			plain, merged, back := filepath.Join(tmp, "plain"), filepath.Join(tmp, "merged"), filepath.Join(tmp, "back")
			a, err := Merge(t.Context(), Options{Model: base, Adapter: adapter, Out: plain, DType: to})
			if err != nil {
				t.Fatal(err)
			}
			var done, total int64
			b, err := Merge(t.Context(), Options{Model: other, Adapter: adapter, Out: merged, DType: to, Progress: func(d, all int64) { done, total = max(done, d), all }})
			if err != nil {
				t.Fatal(err)
			}
			if a.Out, b.Out = "", ""; a != b || done <= 0 || done > total {
				t.Errorf("the report is %+v, want %+v; %d of %d", b, a, done, total)
			}
			if got := names(t, merged); !slices.Equal(got, want) {
				t.Errorf("files are %v, want %v", got, want)
			}
			if got, want := all(t, merged), all(t, plain); len(want) == 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("in %d files of type %v, weights differ", n, to)
			}
			if r, err := Undo(t.Context(), Options{Model: merged, Adapter: adapter, Base: other, Out: back}); err != nil || !r.Identical {
				t.Fatalf("%+v, %v", r, err)
			}
			for _, file := range names(t, other) {
				x, err1 := os.ReadFile(filepath.Join(other, file))
				y, err2 := os.ReadFile(filepath.Join(back, file))
				if err1 != nil || err2 != nil || string(x) != string(y) {
					t.Errorf("%s is another: %v, %v", file, err1, err2)
				}
			}
		}
	}
}
