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
// arXiv:2310.06825, softcap arXiv:2408.00118, alibi arXiv:2108.12409.
func attention() Def {
	return Def{Name: "attention", Title: "Attention", Doc: "y = softmax(scale query keyᵀ + mask) value, for grouped heads; a row that sees no key gives 0.",
		Attr: AttentionAttr{}, Cached: []int{1, 2}, Flat: []int{3}, ForGrad: withStats, Grad: gradAttention,
		Ports: []Port{{Name: "query", Doc: "[batch, seq, heads, d]; row i has position past + i"}, {Name: "key", Doc: "[batch, t, groups, d], or [1, t, groups, d] for all sequences; row j has position j"},
			{Name: "value", Doc: "[batch, t, groups, dv], or with 1 as key"},
			{Name: "mask", Doc: "added to the scores: a mask or a bias; any shape that repeats to [batch, heads, seq, t]", Optional: true}, pastPort(),
			{Name: "segments", Doc: "i32 [batch, t], the document of each position; a row sees the keys of its own document", Optional: true},
			{Name: "lengths", Doc: "i32 [batch], the keys that each sequence has; no row sees those from there on", Optional: true}},
		Infer: attentionInfer,
		Lower: lowerAttention,
		Cost: func(in, out []ir.Type, attr any) int64 {
			return 4 * seen(in, attr.(AttentionAttr))
		},
		Cases: attentionCases(),
	}
}

// seen counts the pairs of a row and a key that it may see, times the elements
// of a row. Where only a run knows the past, the last row sees the last key.
func seen(in []ir.Type, at AttentionAttr) int64 {
	q, t := in[0].Sizes(), in[1].Sizes()[1]
	s := q[1]
	if !at.Causal {
		return int64(product(q)) * int64(t)
	}
	past := 0
	if in[4].DType != ir.Invalid {
		past = max(0, t-s)
	}
	pairs := 0
	for i := range s {
		n := min(t, past+i+1)
		if at.Window > 0 {
			n = min(n, at.Window)
		}
		pairs += n
	}
	return int64(q[0]*q[2]*q[3]) * int64(pairs)
}

func attentionInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	at := attr.(AttentionAttr)
	q, k, v, mask := in[0], in[1], in[2], in[3]
	if err := first(wantFloat("query", q), wantKept("key", k), wantKept("value", v),
		wantRank("query", q, "[batch, seq, heads, d]", 4), wantRank("key", k, "[batch, t, groups, d]", 4),
		wantRank("value", v, "[batch, t, groups, dv]", 4), wantKnown("query", q, 2), wantKnown("key", k, 2)); err != nil {
		return nil, err
	}
	if err := first(wantPast(in[4], q.Shape[0]), wantSegments(in[5], k), wantLengths(in[6], q.Shape[0])); err != nil {
		return nil, err
	}
	switch h, g := q.Shape[2].N, k.Shape[2].N; {
	case q.Shape[0] != k.Shape[0] && (k.Shape[0] != ir.D(1) || in[5].DType != ir.Invalid) || k.Shape[0] != v.Shape[0]:
		return nil, fmt.Errorf("query, key and value have %v, %v and %v sequences", q.Shape[0], k.Shape[0], v.Shape[0])
	case q.Shape[3] != k.Shape[3]:
		return nil, fmt.Errorf("a head of query has %v elements but one of key has %v", q.Shape[3], k.Shape[3])
	case !slices.Equal(k.Shape[1:3], v.Shape[1:3]):
		return nil, fmt.Errorf("key is %s but value is %s", ir.ShapeString(k.Shape), ir.ShapeString(v.Shape))
	case g <= 0 || h%g != 0:
		return nil, fmt.Errorf("%d heads of query do not divide into %d groups of key", h, g)
	case at.Window < 0 || at.Window > 0 && !at.Causal:
		return nil, fmt.Errorf("window is %d; it wants causal, and at least 0", at.Window)
	case at.Scale < 0 || at.Softcap < 0 || at.ALiBi < 0:
		return nil, fmt.Errorf("scale is %v, softcap %v and alibi %v; want at least 0", at.Scale, at.Softcap, at.ALiBi)
	case at.Scale == 0 && (!q.Shape[3].Known() || q.Shape[3].N == 0):
		return nil, fmt.Errorf("a head has %v elements; want a known number, or scale", q.Shape[3])
	}
	if err := wantDistances(at.Distances, mask, q); err != nil {
		return nil, err
	}
	if mask.DType != ir.Invalid && at.Distances == 0 {
		scores := []ir.Dim{q.Shape[0], q.Shape[2], q.Shape[1], k.Shape[1]}
		if !mask.DType.Float() || !repeats(mask.Shape, scores) {
			return nil, fmt.Errorf("mask is %v, which does not repeat to [batch, heads, seq, t] = %s", mask, ir.ShapeString(scores))
		}
	}
	out := []ir.Type{q.With(q.Shape[0], q.Shape[1], q.Shape[2], v.Shape[3])}
	if at.Stats {
		out = append(out, lseType(q))
	}
	return out, nil
}

// grouping is attention on [batch, groups, heads/groups, seq, ...], so that a
// group's keys are repeated by the product.
type grouping struct {
	at                                  AttentionAttr
	batch, seq, keys, groups, share, dv ir.Dim
	dtype                               ir.DType // of the arithmetic
}

// grouped returns the sizes of attention over query, key, value.
func (b *Builder) grouped(at AttentionAttr, in []ir.Value) grouping {
	q, k := in[0].Type(), in[1].Type()
	share, _ := q.Shape[2].Div(k.Shape[2])
	return grouping{at: at, batch: q.Shape[0], seq: q.Shape[1], keys: k.Shape[1], groups: k.Shape[2], share: share,
		dv: lastDim(in[2].Type()), dtype: b.wide(in[0]).Type().DType}
}

// queries turns [batch, seq, heads, d] into [batch, groups, share, seq, d].
func (g grouping) queries(b *Builder, q ir.Value) ir.Value {
	q = b.Cast(q, g.dtype)
	return b.Transpose(b.Reshape(q, g.batch, g.seq, g.groups, g.share, lastDim(q.Type())), 0, 2, 3, 1, 4)
}

// rows turns [batch, groups, share, seq, d] into [batch, seq, heads, d], of a
// result's type.
func (g grouping) rows(b *Builder, y ir.Value, t ir.Type) ir.Value {
	return b.Cast(b.Reshape(b.Transpose(y, 0, 3, 1, 2, 4), t.Shape...), t.DType)
}

// ofKeys turns [batch, t, groups, d] into [batch, groups, 1, t, d]; batch may be 1.
func (g grouping) ofKeys(b *Builder, k ir.Value) ir.Value {
	return b.Reshape(b.Transpose(b.Cast(k, g.dtype), 0, 2, 1, 3), k.Type().Shape[0], g.groups, ir.D(1), g.keys, lastDim(k.Type()))
}

// scores are what softmax is taken of, [batch, groups, share, seq, t]; lowest
// where a query does not see a key.
func (g grouping) scores(b *Builder, in []ir.Value) ir.Value {
	q := g.queries(b, in[0])
	scale := g.at.Scale
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(lastDim(q.Type()).N))
	}
	s := b.Mul(b.MatMul(q, g.ofKeys(b, in[1]), false, true), b.Scalar(scale, q))
	if g.at.Softcap > 0 {
		c := b.Scalar(g.at.Softcap, s)
		s = b.Mul(c, b.Tanh(b.Div(s, c)))
	}
	if in[3].Valid() {
		mask := b.groupedMask(b.Cast(in[3], g.dtype), g.groups, g.share)
		if g.at.Distances > 0 {
			mask = g.byDistance(b, mask, in[4])
		}
		s = b.Add(s, mask)
	}
	if g.at.ALiBi > 0 {
		s = b.Sub(s, g.distances(b, in[4]))
	}
	if ok := g.visible(b, in); ok.Valid() {
		s = b.Select(ok, s, b.Scalar(lowest, s))
	}
	return s
}

func lowerAttention(b *Builder, n *ir.Node) []ir.Value {
	g := b.grouped(n.Attr.(AttentionAttr), n.In)
	s := g.scores(b, n.In)
	// Every query sees itself, or everything, unless a mask or the room for keys
	// says otherwise; then no row is all hidden, and this is plain softmax.
	var weights, lse ir.Value
	limited := n.In[3].Valid() || n.In[5].Valid() || n.In[6].Valid()
	if plain := !limited && (!g.at.Causal || !n.In[4].Valid() && g.seq == g.keys); !plain {
		weights, lse = b.seen(s)
	} else {
		weights = b.Softmax(s, -1)
		if g.at.Stats {
			lse = b.LogSumExp(s, true, -1)
		}
	}
	out := []ir.Value{g.rows(b, b.MatMul(weights, g.ofKeys(b, n.In[2]), false, false), n.Types[0])}
	if g.at.Stats {
		out = append(out, g.rows(b, lse, n.Types[1]))
	}
	return out
}
