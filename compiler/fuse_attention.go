package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// fuseAttention: softmax(q kᵀ * scale + mask) v over [batch, heads, seq, d] ->
// attention, which never holds all scores at once.
func fuseAttention(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	if n.Op != "matmul" || n.Types[0].Rank() != 4 || !multiplies(n, op.MatMulAttr{}) {
		return nil
	}
	weights := r.from(n.In[0], "softmax")
	if weights == nil || (weights.Attr != op.AxisAttr{Axis: -1} && weights.Attr != op.AxisAttr{Axis: 3}) {
		return nil
	}
	scores, mask := weights.In[0], ir.Value{}
	if masked := r.from(scores, "add"); masked != nil {
		if !either(masked, func(a, b ir.Value) bool {
			scores, mask = a, b
			return a.Type().Equal(masked.Types[0]) && r.scores(a) != nil && b.Type().DType == ir.F32
		}) {
			return nil
		}
	}
	m := r.scores(scores)
	if m == nil {
		return nil
	}
	q, k, v := m.product.In[0], m.product.In[1], n.In[1]
	heads := q.Type().Shape[1]
	if k.Type().Rank() != 4 || v.Type().Rank() != 4 || q.Type().Rank() != 4 ||
		k.Type().Shape[0] != q.Type().Shape[0] || v.Type().Shape[0] != q.Type().Shape[0] ||
		k.Type().Shape[1] != heads || v.Type().Shape[1] != heads {
		return nil
	}
	swap := op.TransposeAttr{Perm: "0,2,1,3"}
	in := []ir.Value{r.Apply("transpose", swap, r.now(q))[0], r.Apply("transpose", swap, r.now(k))[0],
		r.Apply("transpose", swap, r.now(v))[0], {}, {}, {}, {}}
	if mask.Valid() {
		in[3] = r.now(mask)
	}
	out := r.Apply("attention", op.AttentionAttr{Scale: m.scale}, in...)
	return r.Apply("transpose", swap, out[0])
}

// multiplies says whether a matmul is as at says, by whatever rounding.
func multiplies(n *ir.Node, at op.MatMulAttr) bool {
	is := n.Attr.(op.MatMulAttr)
	is.TF32 = false
	return is == at
}

// scoring is a product of queries and keys, and the factor applied to it.
type scoring struct {
	product *ir.Node
	scale   float64
}

// scores matches q kᵀ, alone or times or over a number.
func (r *rewriter) scores(v ir.Value) *scoring {
	product := func(v ir.Value) *ir.Node {
		if m := r.from(v, "matmul"); m != nil && multiplies(m, op.MatMulAttr{TransB: true}) {
			return m
		}
		return nil
	}
	if m := product(v); m != nil {
		return &scoring{m, 1}
	}
	if d := r.from(v, "div"); d != nil {
		if by, ok := scalar(d.In[1]); ok && by > 0 {
			if m := product(d.In[0]); m != nil {
				return &scoring{m, 1 / by}
			}
		}
		return nil
	}
	mul := r.from(v, "mul")
	var found *scoring
	if mul != nil {
		either(mul, func(a, b ir.Value) bool {
			by, ok := scalar(b)
			if m := product(a); ok && by > 0 && m != nil {
				found = &scoring{m, by}
			}
			return found != nil
		})
	}
	return found
}
