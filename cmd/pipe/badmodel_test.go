package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
)

// copyModel copies the golden model folder to a new one, and returns its
// tensors to be changed.
func copyModel(t *testing.T) (dir string, tensors []tensorfile.Tensor) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(dir, os.DirFS(goldenText)); err != nil {
		t.Fatal(err)
	}
	tensors, err := tensorfile.Read(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, tensors
}

// replace changes text in a file of a folder.
func replace(t *testing.T, dir, file, from, to string) {
	t.Helper()
	name := filepath.Join(dir, file)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(data), from, to, 1)
	if changed == string(data) {
		t.Fatalf("%s has no %q", file, from)
	}
	if err := os.WriteFile(name, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestBadModels damages a model folder in every way and checks the exit code
// and that one line (or one for each mismatch) names the file and the fact.
func TestBadModels(t *testing.T) {
	t.Parallel()
	find := func(list []tensorfile.Tensor, name string) *tensorfile.Tensor {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
		t.Fatalf("no tensor %s", name)
		return nil
	}
	const norm = "model.norm.weight"
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string, list []tensorfile.Tensor) []tensorfile.Tensor // nil leaves the weights
		args   []string
		code   int
		lines  int
		want   string // pattern
	}{
		"no folder": {code: exitData, lines: 1, want: `^.*nowhere: no such`, args: []string{"--set", "model=nowhere"},
			damage: func(*testing.T, string, []tensorfile.Tensor) []tensorfile.Tensor { return nil }},
		"no config": {code: exitData, lines: 1, want: `config\.json: no such`,
			damage: func(t *testing.T, dir string, _ []tensorfile.Tensor) []tensorfile.Tensor {
				os.Remove(filepath.Join(dir, "config.json"))
				return nil
			}},
		"no tokenizer": {code: exitData, lines: 1, want: `tokenizer\.json: no such`,
			damage: func(t *testing.T, dir string, _ []tensorfile.Tensor) []tensorfile.Tensor {
				os.Remove(filepath.Join(dir, "tokenizer.json"))
				return nil
			}},
		"no weights": {code: exitData, lines: 1, want: `model: .*safetensors`,
			damage: func(t *testing.T, dir string, _ []tensorfile.Tensor) []tensorfile.Tensor {
				os.Remove(filepath.Join(dir, "model.safetensors"))
				return nil
			}},
		"unknown model_type": {code: exitDocument, lines: 1, want: `config\.json:\d+:\d+: model_type: .*"lama".*did you mean.*llama`,
			damage: func(t *testing.T, dir string, _ []tensorfile.Tensor) []tensorfile.Tensor {
				replace(t, dir, "config.json", `"model_type": "llama"`, `"model_type": "lama"`)
				return nil
			}},
		"wrong field": {code: exitDocument, lines: 1, want: `config\.json:\d+:\d+: hidden_size: `,
			damage: func(t *testing.T, dir string, _ []tensorfile.Tensor) []tensorfile.Tensor {
				replace(t, dir, "config.json", `"hidden_size": 48`, `"hidden_size": "48"`)
				return nil
			}},
		"truncated": {code: exitData, lines: 1, want: `model\.safetensors: `,
			damage: func(t *testing.T, dir string, _ []tensorfile.Tensor) []tensorfile.Tensor {
				os.Truncate(filepath.Join(dir, "model.safetensors"), 70000)
				return nil
			}},
		"missing": {code: exitData, lines: 1, want: `model\.safetensors: .*"model\.norm\.weight"`,
			damage: func(t *testing.T, dir string, list []tensorfile.Tensor) []tensorfile.Tensor {
				return without(list, norm)
			}},
		"extra": {code: exitData, lines: 1, want: `model\.extra`,
			damage: func(t *testing.T, dir string, list []tensorfile.Tensor) []tensorfile.Tensor {
				return append(list, tensorfile.FromFloat32s("model.extra", []float32{1}, 1))
			}},
		"wrong shape": {code: exitData, lines: 1, want: `model\.norm\.weight.*\b47\b.*\b48\b|model\.norm\.weight.*\b48\b.*\b47\b`,
			damage: func(t *testing.T, dir string, list []tensorfile.Tensor) []tensorfile.Tensor {
				*find(list, norm) = tensorfile.FromFloat32s(norm, make([]float32, 47), 47)
				return list
			}},
		"wrong type": {code: exitData, lines: 1, want: `model\.norm\.weight.*i32`,
			damage: func(t *testing.T, dir string, list []tensorfile.Tensor) []tensorfile.Tensor {
				*find(list, norm) = tensorfile.FromInt32s(norm, make([]int32, 48), 48)
				return list
			}},
		"all mismatches at once": {code: exitData, lines: 4, want: `(?s)model\.norm\.weight.*`,
			damage: func(t *testing.T, dir string, list []tensorfile.Tensor) []tensorfile.Tensor {
				*find(list, norm) = tensorfile.FromInt32s(norm, make([]int32, 48), 48)
				return append(without(list, "model.layers.0.mlp.up_proj.weight"), tensorfile.FromFloat32s("model.extra", []float32{1}, 1))
			}},
		"NaN": {code: exitData, lines: 1, want: `model\.safetensors: tensor "model\.norm\.weight": element 3 is NaN`,
			damage: func(t *testing.T, dir string, list []tensorfile.Tensor) []tensorfile.Tensor {
				x := find(list, norm)
				if x.Type.DType != ir.F16 {
					t.Fatalf("the norm is %v", x.Type)
				}
				binary.LittleEndian.PutUint16(x.Data[6:], 0x7e00)
				return list
			}},
		"overflow to NaN while running": {code: exitNumeric, lines: 1, want: `llama\.cue:\d+:\d+: .*NaN|attention\.cue:\d+:\d+: .*NaN|mlp\.cue:\d+:\d+: .*NaN`,
			damage: func(t *testing.T, dir string, list []tensorfile.Tensor) []tensorfile.Tensor {
				for i, x := range list {
					big := x.Float32s()
					for k := range big {
						big[k] *= 1e30
					}
					list[i] = tensorfile.FromFloat32s(x.Name, big, x.Type.Sizes()...)
				}
				return list
			}},
		"vocabulary too small": {code: exitData, lines: 1, want: `tokenizer\.json has ids up to 383, and the model has 96`,
			damage: func(t *testing.T, dir string, list []tensorfile.Tensor) []tensorfile.Tensor {
				replace(t, dir, "config.json", `"vocab_size": 384`, `"vocab_size": 96`)
				return nil
			}},
		"prompt is not UTF-8": {code: exitDocument, lines: 1, want: `UTF-8`, args: []string{"--set", "prompt=a\xffb"},
			damage: func(*testing.T, string, []tensorfile.Tensor) []tensorfile.Tensor { return nil }},
		"prompt too long": {code: exitData, lines: 1, want: `context`, args: []string{"--set", "prompt=" + strings.Repeat("word ", 200)},
			damage: func(*testing.T, string, []tensorfile.Tensor) []tensorfile.Tensor { return nil }},
		"too many tokens": {code: exitData, lines: 1, want: `set max_tokens to 127 at most`, args: []string{"--set", "max_tokens=500"},
			damage: func(*testing.T, string, []tensorfile.Tensor) []tensorfile.Tensor { return nil }},
		"too little memory": {code: exitFit, lines: 1, want: `models\.llm needs .* and 50\.0KiB are allowed: .*--mem`, args: []string{"--mem", "50KiB"},
			damage: func(*testing.T, string, []tensorfile.Tensor) []tensorfile.Tensor { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			dir, list := copyModel(t)
			if changed := c.damage(t, dir, list); changed != nil {
				if err := tensorfile.Write(filepath.Join(dir, "model.safetensors"), changed); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"run", "../../pipelines/complete.cue", "--quiet", "--set", "temperature=0", "--set", "max_tokens=20", "--set", "model=" + dir}, c.args...)
			code, out, errs := pipeCommand(args...)
			if code != c.code || out != "" {
				t.Errorf("exit code %d, want %d; stdout %q", code, c.code, out)
			}
			if n := strings.Count(errs, "\n"); n != c.lines || !regexp.MustCompile(c.want).MatchString(errs) {
				t.Errorf("want %d lines with %s, have %d:\n%s", c.lines, c.want, n, errs)
			}
		})
	}
}

func without(list []tensorfile.Tensor, name string) []tensorfile.Tensor {
	var out []tensorfile.Tensor
	for _, x := range list {
		if x.Name != name {
			out = append(out, x)
		}
	}
	return out
}
