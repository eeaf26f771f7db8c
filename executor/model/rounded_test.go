package model

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// TestRounded holds the error of models that compute in 16 bits, weights rounded too, against that of transformers
// (testdata/golden/rounded.py): what outputs alone read is computed in f32 here, so it is not greater by more than chance has it.
func TestRounded(t *testing.T) {
	text, err := os.ReadFile("../../testdata/golden/rounded.json")
	if err != nil {
		t.Fatal(err)
	}
	var theirs map[string]map[string]*float64
	if err := json.Unmarshal(text, &theirs); err != nil || len(theirs) < 15 {
		t.Fatalf("%d models, %v", len(theirs), err)
	}
	for name, errors := range theirs {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("../../testdata/golden/arch", name)
			want := expected(t, dir)
			for _, to := range []ir.DType{ir.BF16, ir.F16} {
				m, _ := openAs(t, Options{Dir: dir, Precision: to}, 2, "")
				got := forwardLogits(t, m, want["ids"])
				if !slices.ContainsFunc(got, func(v float64) bool { return math.Float32bits(float32(v))&0x1fff != 0 }) {
					t.Errorf("%v: logits are rounded, too", to)
				}
				ours, limit := distance(got, want["logits"].Float64s()), 0.01
				if e := errors[to.String()]; e != nil {
					limit = *e
				}
				t.Logf("%v: %.5f, transformers %.5f", to, ours, limit)
				if !(ours <= 1.2*limit) || ours == 0 {
					t.Errorf("%v: logits are off by %.5f of their length, those of transformers by %.5f", to, ours, limit)
				}
			}
		})
	}
}

// forwardLogits runs all rows at once.
func forwardLogits(t *testing.T, m *Model, ids tensorfile.Tensor) []float64 {
	t.Helper()
	sizes := ids.Type.Sizes()
	p, err := m.Forward(sizes[0], sizes[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	outs, err := m.Run(t.Context(), p, map[string]tensorfile.Tensor{"ids": ids})
	if err != nil {
		t.Fatal(err)
	}
	if d := outs[0].Type.DType; d != ir.F32 {
		t.Errorf("logits are %v", d)
	}
	return outs[0].Float64s()
}

// distance is |a - b| / |b|.
func distance(a, b []float64) float64 {
	var off, all float64
	for i := range b {
		off, all = off+(a[i]-b[i])*(a[i]-b[i]), all+b[i]*b[i]
	}
	return math.Sqrt(off / all)
}

// TestRoundedPictures holds models of pictures in 16 bits against their values in f32: bf16 has 8 bits of a number, f16 11.
func TestRoundedPictures(t *testing.T) {
	list, err := filepath.Glob(filepath.Join(golden, "pictures", "*", "values.safetensors"))
	if err != nil || len(list) < 20 {
		t.Fatalf("%d models, %v", len(list), err)
	}
	for _, file := range list {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			values := tensortest.Read(t, file)
			inputs := called(values)
			for to, limit := range map[ir.DType]float64{ir.BF16: 0.015, ir.F16: 0.002} {
				m, _ := openAs(t, Options{Dir: filepath.Join(dir, "model"), Precision: to}, 2, "")
				for _, have := range callOpened(t, m, inputs, nil) {
					want, ok := values["out."+have.Name]
					if !ok || !have.Type.DType.Float() {
						continue
					}
					if d := distance(have.Float64s(), want.Float64s()); !(d <= limit) {
						t.Errorf("%v: %s is off by %.5f of its length", to, have.Name, d)
					} else {
						t.Logf("%v: %s %.5f", to, have.Name, d)
					}
				}
			}
		})
	}
}

// called are the inputs among the values of a model of pictures.
func called(values map[string]tensorfile.Tensor) map[string]tensorfile.Tensor {
	inputs := map[string]tensorfile.Tensor{}
	for name, v := range values {
		if name, ok := strings.CutPrefix(name, "in."); ok {
			inputs[name] = v
		}
	}
	return inputs
}

// TestRoundedParts holds the bits of a prompt in 16 bits, caches too, token by token against those of many at once.
func TestRoundedParts(t *testing.T) {
	for _, name := range []string{"llama31", "gemma2", "deepseek_v3"} {
		dir := filepath.Join(golden, "arch", name)
		ids, err := expected(t, dir)["greedy"].Int32s()
		if err != nil {
			t.Fatal(err)
		}
		var first []uint32
		for _, sizes := range [][]int{{1}, {1, 3}, {1, 32}} {
			m, _ := openAs(t, Options{Dir: dir, Precision: ir.BF16, Cache: ir.BF16}, len(sizes), "")
			m.context = 128
			for _, n := range sizes {
				p, err := m.plan(m.step(), map[string]int{"batch": 1, "seq": n, "ctx": m.context})
				if err != nil {
					t.Fatal(err)
				}
				m.text = append(m.text, p)
			}
			m.want(m.text...)
			if err := m.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			g, err := m.Generator()
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Start(t.Context(), ids, 32); err != nil {
				t.Fatal(err)
			}
			if bits := bitsOf(g.Logits()); first == nil {
				first = bits
			} else if !slices.Equal(bits, first) {
				t.Errorf("%s: calls of %v have other bits than token by token", name, sizes)
			}
		}
	}
}
