package model

import (
	"context"
	"testing"

	"pipe.dev/compiler/ir"
)

// A cache of latent attention holds the small vectors and the rotary parts that
// heads share, and logits that are made with it, position by position, are those
// that transformers gives without one.
func TestLatentCache(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{"deepseek_v2", "deepseek_v3"} {
		t.Run(name, func(t *testing.T) {
			dir := "../../testdata/golden/arch/" + name
			want := expected(t, dir)
			ids, err := want["ids"].Int32s()
			if err != nil {
				t.Fatal(err)
			}
			seq := want["ids"].Type.Sizes()[1]
			m, _ := open(t, dir, 2, "")
			generator(t, m, 1)
			g, err := m.Generator()
			if err != nil {
				t.Fatal(err)
			}
			logits := want["logits"].Float64s()
			most := 0.0
			if err := g.Start(ctx, ids[:1], seq); err != nil {
				t.Fatal(err)
			}
			for i := range seq {
				got := make([]float64, g.Vocab())
				for k, x := range g.Logits() {
					got[k] = float64(x)
				}
				most = max(most, worst(got, logits[i*g.Vocab():(i+1)*g.Vocab()]))
				if i+1 < seq {
					if err := g.Push(ctx, ids[i+1]); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !(most <= 1e-4) {
				t.Errorf("logits differ by %g", most)
			}
			number := func(field string) int { return HeadsOf(m.arch, field) }
			each := number("kv_lora_rank") + number("qk_rope_head_dim")
			keys := number("num_attention_heads") * (number("qk_nope_head_dim") + number("qk_rope_head_dim") + number("v_head_dim"))
			kept := int64(4 * m.context * number("num_hidden_layers") * each)
			if have := m.StateBytes(ir.Cache); have != kept {
				t.Errorf("the cache has %d bytes, want %d", have, kept)
			}
			t.Logf("logits differ by %.1e; the cache keeps %d numbers of a position and layer, keys and values would be %d", most, each, keys)
		})
	}
}
