package op

import "pipe.dev/compiler/ir"

// keysOfOne has one sequence of keys for all queries.
func keysOfOne(c Case) Case {
	c.In[1], c.In[2] = c.In[1].With(append([]ir.Dim{ir.D(1)}, c.In[1].Shape[1:]...)...), c.In[2].With(append([]ir.Dim{ir.D(1)}, c.In[2].Shape[1:]...)...)
	return c
}

func attentionCases() []Case {
	// sizes: batch, seq, heads, t, groups, d, dv
	c := func(name string, at AttentionAttr, b, s, h, t, g, d, dv int, more ...ir.Type) Case {
		in := []ir.Type{ir.T(ir.F32, b, s, h, d), ir.T(ir.F32, b, t, g, d), ir.T(ir.F32, b, t, g, dv), {}, {}, {}, {}}
		bounds := map[int][2]float64{}
		for _, m := range more {
			if m.DType == ir.F32 {
				in[3] = m
			} else {
				in[4] = m
				bounds[4] = [2]float64{0, float64(t - s)}
			}
		}
		return Case{Name: name, In: in, Attr: at, Low: -1, High: 1, Bounds: bounds, Tol: 4e-6}
	}
	causal := AttentionAttr{Causal: true}
	past := func(b int) ir.Type { return ir.T(ir.I32, b) }
	// among has segments, numbers below n, or lengths of at most n keys.
	among := func(c Case, port int, n float64, shape ...int) Case {
		c.In[port], c.Bounds[port] = ir.T(ir.I32, shape...), [2]float64{0, n}
		return c
	}
	cases := []Case{
		c("", AttentionAttr{}, 1, 3, 2, 3, 2, 4, 4),
		c("causal", causal, 2, 5, 2, 5, 2, 8, 8),
		c("grouped", causal, 2, 5, 4, 5, 2, 6, 6),
		c("one group", causal, 1, 7, 3, 7, 1, 17, 5),
		c("past", causal, 3, 2, 4, 9, 2, 8, 8, past(3)),
		c("one token", causal, 2, 1, 4, 17, 2, 16, 16, past(2)),
		c("window", AttentionAttr{Causal: true, Window: 3}, 1, 9, 2, 9, 2, 8, 8),
		c("window and past", AttentionAttr{Causal: true, Window: 4}, 2, 3, 2, 12, 1, 8, 8, past(2)),
		c("scale", AttentionAttr{Causal: true, Scale: 0.7}, 1, 6, 2, 6, 2, 8, 8),
		c("softcap", AttentionAttr{Causal: true, Scale: 2, Softcap: 1.5}, 1, 6, 2, 6, 1, 8, 8),
		c("mask", AttentionAttr{}, 2, 3, 4, 5, 2, 8, 8, ir.T(ir.F32, 2, 4, 3, 5)),
		c("mask of rows", causal, 2, 5, 4, 5, 2, 8, 8, ir.T(ir.F32, 5, 5)),
		c("mask of sequences", AttentionAttr{}, 2, 3, 4, 5, 2, 8, 8, ir.T(ir.F32, 2, 1, 1, 5)),
		c("with statistics", AttentionAttr{Causal: true, Window: 4, Stats: true}, 2, 5, 4, 7, 2, 8, 8),
		c("all hidden", AttentionAttr{}, 2, 3, 2, 5, 1, 8, 8, ir.T(ir.F32, 2, 1, 3, 5)),
		c("full with past", AttentionAttr{}, 2, 3, 2, 7, 2, 8, 8, past(2)),
		c("alibi", AttentionAttr{Causal: true, ALiBi: 8}, 2, 7, 6, 7, 3, 8, 8),
		c("alibi both ways", AttentionAttr{ALiBi: 4, Softcap: 2}, 1, 5, 2, 9, 2, 6, 6),
		c("alibi and past", AttentionAttr{Causal: true, ALiBi: 8, Window: 20}, 2, 3, 4, 40, 2, 8, 8, past(2)),
		c("by distance", AttentionAttr{Distances: 3}, 2, 9, 4, 9, 2, 8, 8, ir.T(ir.F32, 4, 1, 7)),
		c("by distance, causal and past", AttentionAttr{Causal: true, Scale: 1, Distances: 5}, 2, 4, 4, 40, 2, 8, 8, past(2), ir.T(ir.F32, 2, 1, 1, 11)),
		c("by distance, one token", AttentionAttr{Causal: true, Distances: 40}, 2, 1, 4, 37, 4, 16, 16, past(2), ir.T(ir.F32, 4, 1, 81)),
		keysOfOne(c("keys of one", AttentionAttr{}, 3, 2, 4, 5, 2, 8, 8)),
		keysOfOne(among(c("keys of one, lengths", AttentionAttr{Scale: 1}, 3, 1, 4, 40, 4, 16, 16), 6, 40, 3)),
		among(c("segments", causal, 2, 9, 4, 9, 2, 8, 8), 5, 2, 2, 9),
		among(c("segments both ways", AttentionAttr{}, 2, 7, 2, 7, 1, 8, 8), 5, 1, 2, 7),
		among(c("segments and past", AttentionAttr{Causal: true, Window: 5}, 2, 3, 2, 12, 1, 8, 8, past(2)), 5, 1, 2, 12),
		among(c("lengths", AttentionAttr{}, 3, 5, 2, 5, 2, 8, 8), 6, 5, 3),
		among(among(c("lengths and segments", causal, 2, 40, 4, 40, 2, 8, 8), 6, 40, 2), 5, 1, 2, 40),
		c("single head size", causal, 1, 3, 1, 3, 1, 1, 1),
		c("long", causal, 1, 33, 2, 65, 2, 33, 17, past(1)),
		c("blocks", AttentionAttr{Causal: true, Window: 90, Stats: true}, 1, 101, 2, 137, 1, 20, 40, ir.T(ir.F32, 101, 137), past(1)),
		c("whole blocks", AttentionAttr{Causal: true, Window: 60}, 2, 3, 4, 75, 2, 64, 32, past(2)),
		c("whole blocks at once", causal, 1, 12, 2, 40, 2, 32, 32, past(1)),
		c("head of 80", causal, 1, 5, 2, 5, 1, 80, 72),
		c("one token, many keys", AttentionAttr{Causal: true, Stats: true}, 2, 1, 6, 600, 2, 12, 24, past(2)),
		c("few, many keys and a window", AttentionAttr{Causal: true, Window: 270}, 2, 3, 10, 530, 2, 8, 8, past(2)),
		c("many rows", AttentionAttr{Causal: true, Window: 40, Stats: true}, 1, 33, 2, 70, 1, 8, 16, past(1)),
		c("head of 160", causal, 1, 3, 1, 70, 1, 160, 136, past(1)),
		c("wide head", AttentionAttr{}, 1, 2, 2, 3, 1, 264, 260),
		c("large", causal, 1, 256, 16, 256, 4, 64, 64),
		c("large 2048", AttentionAttr{}, 1, 2048, 32, 2048, 32, 64, 64),
		c("large 2048 causal", causal, 1, 2048, 32, 2048, 32, 64, 64),
		c("large 4096 causal", causal, 8, 4096, 16, 4096, 16, 128, 128),
		c("large one token", causal, 1, 1, 32, 2048, 8, 128, 128, past(1)),
	}
	for i := range cases {
		if cases[i].Name == "all hidden" {
			cases[i].Bounds[3] = [2]float64{-3e38, -2e38}
		}
		cases[i].Large = i >= len(cases)-5
	}
	return cases
}
