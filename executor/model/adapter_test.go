package model

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/adapter"
	"pipe.dev/executor/tensorfile"
)

// adapters are those that PEFT has made, and the folders of their bases.
func adapters(t *testing.T) map[string]string {
	t.Helper()
	list, err := filepath.Glob("../../testdata/golden/adapter/*/adapter_config.json")
	if err != nil || len(list) != 4 {
		t.Fatalf("%d adapters, %v", len(list), err)
	}
	out := map[string]string{}
	for _, file := range list {
		var c struct {
			Base string `json:"base_model_name_or_path"`
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Dir(file)] = filepath.Join("../..", c.Base)
	}
	return out
}

// logits runs a model over ids at once.
func logits(t *testing.T, dir, with string, ids tensorfile.Tensor) []float64 {
	t.Helper()
	m, _ := openAdapted(t, dir, with, 2, "")
	sizes := ids.Type.Sizes()
	p, err := m.Forward(sizes[0], sizes[1], nil)
	if err == nil {
		err = m.Load(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	outs, err := m.Run(context.Background(), p, map[string]tensorfile.Tensor{"ids": ids})
	if err != nil {
		t.Fatal(err)
	}
	return outs[0].Float64s()
}

// TestAdapter holds the logits of a model with an adapter that is not merged
// against those of PEFT, and of the merged model against both. With a cache,
// token by token, the last are the same, and the base stays as it is.
func TestAdapter(t *testing.T) {
	for with, base := range adapters(t) {
		t.Run(filepath.Base(with), func(t *testing.T) {
			before, err := os.ReadFile(filepath.Join(base, "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			want := expected(t, with)
			ids, w := want["ids"], want["logits"].Float64s()
			got := logits(t, base, with, ids)
			if d := worst(got, w); len(got) != len(w) || !(d < 2e-5) {
				t.Errorf("logits differ by %.2g", d)
			}

			merged := filepath.Join(t.TempDir(), "merged")
			if _, err := adapter.Merge(t.Context(), adapter.Options{Model: base, Adapter: with, Out: merged}); err != nil {
				t.Fatal(err)
			}
			most := 2e-5
			if filepath.Base(with) == "half" { // sums are rounded to f16
				most = 2e-2
			}
			if d := worst(logits(t, merged, "", ids), w); !(d < most) {
				t.Errorf("logits of the merged model differ by %.2g", d)
			}

			m, _ := openAdapted(t, base, with, 1, "")
			generator(t, m, 1, 8)
			g, err := m.Generator()
			if err != nil {
				t.Fatal(err)
			}
			row, err := ids.Int32s()
			if err != nil {
				t.Fatal(err)
			}
			row = row[:ids.Type.Sizes()[1]]
			if err := g.Start(t.Context(), row, 1); err != nil {
				t.Fatal(err)
			}
			vocab := len(w) / ids.Type.Elems()
			for i, x := range g.Logits() {
				if float32(got[(len(row)-1)*vocab+i]) != x {
					t.Fatalf("logit %d is %v with a cache, and %v without", i, x, got[(len(row)-1)*vocab+i])
				}
			}
			if after, err := os.ReadFile(filepath.Join(base, "model.safetensors")); err != nil || !slices.Equal(after, before) {
				t.Errorf("the base has changed, or %v", err)
			}
		})
	}
}

// TestAdapterMisfit names what an adapter and a model do not agree on.
func TestAdapterMisfit(t *testing.T) {
	m, _ := openAdapted(t, "../../testdata/golden/arch/llama31", "../../testdata/golden/adapter/lora", 1, "")
	_, err := m.Forward(1, 4, nil)
	if err == nil {
		err = m.Load(context.Background())
	}
	if err == nil || strings.Count(err.Error(), "\n") != 2 || !strings.Contains(err.Error(), `v_proj.lora_B.weight" has shape [24 4], want [12 4]`) {
		t.Errorf("%v", err)
	}
	if _, err := Open(Options{Dir: "../../testdata/golden/arch/llama", Adapter: "nosuch"}); err == nil || err.Error() != "nosuch: no such file or folder" {
		t.Errorf("%v", err)
	}
}
