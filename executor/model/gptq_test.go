package model

import (
	"context"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
)

// A model in GPTQ's layout whose groups kernels read as they are gives the logits that PyTorch gives with the decoded weights and with
// x rounded to 8 bits, in every tier; in float64, which rounds nothing, they are near.
func TestGPTQ(t *testing.T) {
	const dir = "../../testdata/golden/gptq"
	want := expected(t, dir)
	for _, tier := range []string{"generic", "avx2", "avx512", "avx512bf16", "amx"} {
		t.Run(tier, func(t *testing.T) {
			m, _ := openAs(t, Options{Dir: dir}, 2, tier)
			sizes := want["ids"].Type.Sizes()
			p, err := m.Forward(sizes[0], sizes[1], nil)
			if err != nil {
				t.Fatal(err)
			}
			blocks := 0
			for _, s := range p.States {
				if s.Type.DType == ir.Q4_G32 {
					blocks++
				}
			}
			if blocks != 14 {
				t.Errorf("%d weights are read in groups, want 14", blocks)
			}
			if err := m.Load(context.Background()); err != nil {
				t.Fatal(err)
			}
			outs, err := m.Run(context.Background(), p, map[string]tensorfile.Tensor{"ids": want["ids"]})
			if err != nil {
				t.Fatal(err)
			}
			got := outs[0].Float64s()
			if d := worst(got, want["rounded"].Float64s()); !(d <= 1e-4) {
				t.Errorf("logits differ by %g", d)
			}
			if d := worst(got, want["exact"].Float64s()); !(d <= 0.2) || d < 1e-3 {
				t.Errorf("rounding changes logits by %g", d)
			}
		})
	}
}
