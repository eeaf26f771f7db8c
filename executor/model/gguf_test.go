package model

import (
	"context"
	"math"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/internal/measured"
)

const ggufs = "../../testdata/golden/gguf/"

// Models in GGUF files, written by the gguf package, give the logits of the
// models that they were made of;
// those whose matrices lie in blocks, what the decoded weights give, but for
// the rows of x, which are quantised as well.
func TestGGUF(t *testing.T) {
	for _, c := range []struct {
		name, want string
		tol        float64
	}{
		{"llama_f16", "../../testdata/golden/arch/llama_f16/expected.safetensors", 1e-4},
		{"llama31", "../../testdata/golden/arch/llama31/expected.safetensors", 1e-4},
		{"qwen2_bf16", "../../testdata/golden/arch/qwen2_bf16/expected.safetensors", 1e-4},
		{"blocks", ggufs + "blocks.safetensors", 0.06}, // the root of the mean square; that of llama.cpp is 0.056
		{"mixtral_f16", ggufs + "mixtral_f16.safetensors", 1e-4},
		{"mixtral_q8", ggufs + "mixtral_q8.safetensors", 0.07}, // likewise; a token may change an expert
	} {
		t.Run(c.name, func(t *testing.T) {
			want := tensortest.Read(t, c.want)
			m, _ := openAs(t, Options{Dir: ggufs + c.name + ".gguf"}, 2, "")
			sizes := want["ids"].Type.Sizes()
			p, err := m.Forward(sizes[0], sizes[1], nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Load(context.Background()); err != nil {
				t.Fatal(err)
			}
			for _, st := range m.stored(m.plans) { // copies are memory of the model's own, which is counted
				if from, name := m.source(st.Path); m.device.store.Mapped(st.Path) && !from.InFile(name, st.Pairs) {
					t.Errorf("%s is a copy, and said to lie in the file", st.Path)
				}
			}
			outs, err := m.Run(context.Background(), p, map[string]tensorfile.Tensor{"ids": want["ids"]})
			if err != nil {
				t.Fatal(err)
			}
			got, logits := outs[0].Float64s(), want["logits"].Float64s()
			d := worst(got, logits)
			if c.tol > 1e-3 {
				d = 0
				for i, w := range logits {
					d += (got[i] - w) * (got[i] - w) / float64(len(logits))
				}
				d = math.Sqrt(d)
			}
			measured.Note(t, golden, "gguf", c.name, d)
			if !(d <= c.tol) {
				t.Errorf("logits differ by %g", d)
			}
		})
	}
}
