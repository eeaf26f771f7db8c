package op

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

func pastPort() Port {
	return Port{Name: "past", Doc: "i32 [batch], tokens of each sequence before this call; none if left out", Optional: true, Implicit: "past"}
}

// wantPast checks past [batch], which may be left out.
func wantPast(past ir.Type, batch ir.Dim) error {
	if past.DType == ir.Invalid {
		return nil
	}
	if err := first(wantIndex("past", past), wantRank("past", past, "[batch]", 1)); err != nil {
		return err
	}
	if past.Shape[0] != batch {
		return fmt.Errorf("past has %v sequences but there are %v", past.Shape[0], batch)
	}
	return nil
}

// positions: x [batch, seq], past [batch] -> i32 [batch, seq].
func positions() Def {
	return Def{Name: "positions", Title: "Positions", Doc: "y[b, s] = past[b] + s.", NoGrad: true,
		Ports: []Port{{Name: "x", Doc: "ids [batch, seq]; only its shape matters"}, pastPort()},
		Infer: func(in []ir.Type, _ any) ([]ir.Type, error) {
			if err := wantRank("x", in[0], "[batch, seq]", 2); err != nil {
				return nil, err
			}
			return []ir.Type{in[0].As(ir.I32)}, wantPast(in[1], in[0].Shape[0])
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			t, past := n.Types[0], n.In[1]
			if !past.Valid() {
				return []ir.Value{b.Iota(ir.I32, 1, t.Shape...)}
			}
			start := b.Reshape(b.Cast(past, ir.I32), t.Shape[0], ir.D(1))
			return []ir.Value{b.Add(start, b.Iota(ir.I32, 0, t.Shape[1]))}
		},
		Cases: []Case{
			{In: []ir.Type{ir.T(ir.I32, 2, 5), ir.T(ir.I32, 2)}, Low: 0, High: 9},
			{Name: "no past", In: []ir.Type{ir.T(ir.I32, 3, 17), {}}, Low: 0, High: 9},
			{Name: "one", In: []ir.Type{ir.T(ir.I32, 1, 1), ir.T(ir.I32, 1)}, Low: 0, High: 900},
		},
	}
}

// attention: query [batch, seq, heads, d], key [batch, t, groups, d], value
// [batch, t, groups, dv] -> [batch, seq, heads, dv]. Head h reads group
// h / (heads/groups).
//
// Sources: arXiv:1706.03762, grouped heads arXiv:2305.13245, window
// arXiv:2310.06825, softcap arXiv:2408.00118.
func attention() Def {
	return Def{Name: "attention", Title: "Attention", Doc: "y = softmax(scale query keyᵀ + mask) value, for grouped heads; a row that sees no key gives 0.",
		Attr: AttentionAttr{}, Cached: []int{1, 2},
		Ports: []Port{{Name: "query", Doc: "[batch, seq, heads, d]; row i has position past + i"}, {Name: "key", Doc: "[batch, t, groups, d]; row j has position j"},
			{Name: "value", Doc: "[batch, t, groups, dv]"},
			{Name: "mask", Doc: "added to the scores; any shape that repeats to [batch, heads, seq, t]", Optional: true}, pastPort()},
		Infer: attentionInfer,
		Lower: lowerAttention,
		Cost: func(in, out []ir.Type, attr any) int64 {
			q, k := in[0].Sizes(), in[1].Sizes()
			return 4 * int64(product(q)) * int64(k[1])
		},
		Cases: attentionCases(),
	}
}

func attentionInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	at := attr.(AttentionAttr)
	q, k, v, mask := in[0], in[1], in[2], in[3]
	if err := first(wantFloat("query", q), wantFloat("key", k), wantFloat("value", v),
		wantRank("query", q, "[batch, seq, heads, d]", 4), wantRank("key", k, "[batch, t, groups, d]", 4),
		wantRank("value", v, "[batch, t, groups, dv]", 4), wantKnown("query", q, 2), wantKnown("key", k, 2),
		wantPast(in[4], q.Shape[0])); err != nil {
		return nil, err
	}
	switch h, g := q.Shape[2].N, k.Shape[2].N; {
	case q.Shape[0] != k.Shape[0] || k.Shape[0] != v.Shape[0]:
		return nil, fmt.Errorf("query, key and value have %v, %v and %v sequences", q.Shape[0], k.Shape[0], v.Shape[0])
	case q.Shape[3] != k.Shape[3]:
		return nil, fmt.Errorf("a head of query has %v elements but one of key has %v", q.Shape[3], k.Shape[3])
	case !slices.Equal(k.Shape[1:3], v.Shape[1:3]):
		return nil, fmt.Errorf("key is %s but value is %s", ir.ShapeString(k.Shape), ir.ShapeString(v.Shape))
	case g <= 0 || h%g != 0:
		return nil, fmt.Errorf("%d heads of query do not divide into %d groups of key", h, g)
	case at.Window < 0 || at.Window > 0 && !at.Causal:
		return nil, fmt.Errorf("window is %d; it wants causal, and at least 0", at.Window)
	case at.Scale < 0 || at.Softcap < 0:
		return nil, fmt.Errorf("scale is %v and softcap %v; want at least 0", at.Scale, at.Softcap)
	case at.Scale == 0 && (!q.Shape[3].Known() || q.Shape[3].N == 0):
		return nil, fmt.Errorf("a head has %v elements; want a known number, or scale", q.Shape[3])
	}
	if mask.DType != ir.Invalid {
		scores := []ir.Dim{q.Shape[0], q.Shape[2], q.Shape[1], k.Shape[1]}
		if !mask.DType.Float() || !repeats(mask.Shape, scores) {
			return nil, fmt.Errorf("mask is %v, which does not repeat to [batch, heads, seq, t] = %s", mask, ir.ShapeString(scores))
		}
	}
	return []ir.Type{q.With(q.Shape[0], q.Shape[1], q.Shape[2], v.Shape[3])}, nil
}

// lowerAttention works on [batch, groups, heads/groups, seq, ...], so that a
// group's keys are repeated by the product.
func lowerAttention(b *Builder, n *ir.Node) []ir.Value {
	at := n.Attr.(AttentionAttr)
	q := b.wide(n.In[0])
	t := q.Type()
	k, v := b.Cast(n.In[1], t.DType), b.Cast(n.In[2], t.DType)
	batch, seq, d, keys, groups := t.Shape[0], t.Shape[1], t.Shape[3], k.Type().Shape[1], k.Type().Shape[2]
	share, _ := t.Shape[2].Div(groups)
	dv := lastDim(v.Type())

	q = b.Transpose(b.Reshape(q, batch, seq, groups, share, d), 0, 2, 3, 1, 4)
	k = b.Reshape(b.Transpose(k, 0, 2, 1, 3), batch, groups, ir.D(1), keys, d)
	v = b.Reshape(b.Transpose(v, 0, 2, 1, 3), batch, groups, ir.D(1), keys, dv)
	scale := at.Scale
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(d.N))
	}
	s := b.Mul(b.MatMul(q, k, false, true), b.Scalar(scale, q))
	if at.Softcap > 0 {
		c := b.Scalar(at.Softcap, s)
		s = b.Mul(c, b.Tanh(b.Div(s, c)))
	}
	if n.In[3].Valid() {
		s = b.Add(s, b.groupedMask(b.Cast(n.In[3], t.DType), groups, share))
	}
	if at.Causal {
		s = b.Select(b.visible(at, n.In[4], batch, seq, keys), s, b.Scalar(lowest, s))
	}
	// Every query sees itself, or everything, unless a mask or the room for keys
	// says otherwise; then no row is all hidden, and this is plain softmax.
	var weights ir.Value
	if !n.In[3].Valid() && (!at.Causal || !n.In[4].Valid() && seq == keys) {
		weights = b.Softmax(s, -1)
	} else {
		weights = b.seen(s)
	}
	y := b.MatMul(weights, v, false, false)
	y = b.Reshape(b.Transpose(y, 0, 3, 1, 2, 4), n.Types[0].Shape...)
	return []ir.Value{b.Cast(y, n.Types[0].DType)}
}

// groupedMask splits the heads of a mask into groups.
func (b *Builder) groupedMask(mask ir.Value, groups, share ir.Dim) ir.Value {
	if b.err != nil || mask.Type().Rank() < 3 {
		return mask
	}
	shape := mask.Type().Shape
	i := len(shape) - 3
	split := []ir.Dim{groups, share}
	if shape[i] == ir.D(1) {
		split = []ir.Dim{ir.D(1), ir.D(1)}
	}
	return b.Reshape(mask, slices.Concat(shape[:i], split, shape[i+1:])...)
}

// visible says which keys each query sees: [seq, t], or [batch, 1, 1, seq, t]
// if sequences have a past.
func (b *Builder) visible(at AttentionAttr, past ir.Value, batch, seq, keys ir.Dim) ir.Value {
	position := b.Iota(ir.I32, 0, seq, ir.D(1))
	if past.Valid() {
		one := ir.D(1)
		position = b.Add(position, b.Reshape(b.Cast(past, ir.I32), batch, one, one, one, one))
	}
	key := b.Iota(ir.I32, 0, keys)
	ok := b.Le(key, position)
	if at.Window > 0 {
		ok = b.And(ok, b.Gt(key, b.Sub(position, b.Fill(float64(at.Window), ir.I32))))
	}
	return ok
}

// seen is softmax along the last axis, but 0 where all scores are hidden:
// exponentials are taken from a maximum that hidden scores do not reach.
func (b *Builder) seen(s ir.Value) ir.Value {
	m := b.Max(b.ReduceMax(s, true, -1), b.Scalar(lowest/10, s))
	e := b.Exp(b.Sub(s, m))
	return b.Div(e, b.Max(b.Sum(e, true, -1), b.Scalar(-1/lowest, s)))
}

func attentionCases() []Case {
	// sizes: batch, seq, heads, t, groups, d, dv
	c := func(name string, at AttentionAttr, b, s, h, t, g, d, dv int, more ...ir.Type) Case {
		in := []ir.Type{ir.T(ir.F32, b, s, h, d), ir.T(ir.F32, b, t, g, d), ir.T(ir.F32, b, t, g, dv), {}, {}}
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
		c("all hidden", AttentionAttr{}, 2, 3, 2, 5, 1, 8, 8, ir.T(ir.F32, 2, 1, 3, 5)),
		c("full with past", AttentionAttr{}, 2, 3, 2, 7, 2, 8, 8, past(2)),
		c("single head size", causal, 1, 3, 1, 3, 1, 1, 1),
		c("long", causal, 1, 33, 2, 65, 2, 33, 17, past(1)),
		c("large", causal, 1, 256, 16, 256, 4, 64, 64),
		c("large one token", causal, 1, 1, 32, 2048, 8, 128, 128, past(1)),
	}
	for i := range cases {
		if cases[i].Name == "all hidden" {
			cases[i].Bounds[3] = [2]float64{-3e38, -2e38}
		}
		cases[i].Large = i >= len(cases)-2
	}
	return cases
}
