package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// attentionGrad: query [batch, seq, heads, d], key [batch, t, groups, d], value
// [batch, t, groups, dv] -> their gradients, given those of attention's results
// y and lse. It computes scores again rather than read them, so that no value
// is as large as [seq, t].
//
// With weights p = exp(score - lse), which are softmax's, dvalue = pᵀ dy and
// the gradient of the scores is p (dy valueᵀ - sum(dy y) + dlse).
//
// Source: arXiv:2205.14135, section B.2.
func attentionGrad() Def {
	d := Def{Name: "attention_grad", Doc: "dquery, dkey, dvalue = the gradients of attention, given its results y and lse and their gradients dy and dlse.",
		Attr: AttentionAttr{}, Outputs: []string{"dquery", "dkey", "dvalue"},
		Ports: []Port{{Name: "query", Doc: "of attention, as are the next six"}, {Name: "key", Doc: "[batch, t, groups, d]"},
			{Name: "value", Doc: "[batch, t, groups, dv]"}, {Name: "mask", Doc: "added to the scores; it gets no gradient", Optional: true},
			{Name: "past", Doc: "i32 [batch]", Optional: true}, {Name: "segments", Doc: "i32 [batch, t]", Optional: true},
			{Name: "lengths", Doc: "i32 [batch]", Optional: true}, {Name: "y", Doc: "[batch, seq, heads, dv], the result"},
			{Name: "lse", Doc: "f32 [batch, seq, heads], ln of the sum of exponentials"}, {Name: "dy", Doc: "the gradient of y"},
			{Name: "dlse", Doc: "the gradient of lse; none if left out", Optional: true}},
		Wide:  []int{8, 10},
		Infer: attentionGradInfer,
		Lower: lowerAttentionGrad,
		Cost: func(in, out []ir.Type, attr any) int64 {
			return 10 * seen(in, attr.(AttentionAttr))
		}}
	for _, c := range attentionCases() {
		d.Cases = append(d.Cases, ofGradient(c))
	}
	return d
}

func lseType(q ir.Type) ir.Type { return ir.Type{DType: ir.F32, Shape: q.Shape[:3]} }

// ofGradient makes a case of attention one of its gradient.
func ofGradient(c Case) Case {
	at := c.Attr.(AttentionAttr)
	q, v := c.In[0], c.In[2]
	y := q.With(q.Shape[0], q.Shape[1], q.Shape[2], v.Shape[3])
	dlse := ir.Type{}
	if at.Stats {
		dlse = lseType(q)
	}
	at.Stats = false
	c.Attr = at
	c.In = append(c.In[:7:7], y, lseType(q), y, dlse)
	bounds := map[int][2]float64{8: {1, 3}}
	for i, b := range c.Bounds {
		bounds[i] = b
	}
	c.Bounds = bounds
	c.Tol *= 2.5
	return c
}

func attentionGradInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	at := withStats(attr)
	if err := first(wantFloat("key", in[1]), wantFloat("value", in[2])); err != nil {
		return nil, err
	}
	out, err := attentionInfer(in[:7], at)
	if err != nil {
		return nil, err
	}
	for _, w := range []struct {
		name       string
		have, want ir.Type
	}{{"y", in[7], out[0]}, {"lse", in[8], out[1]}, {"dy", in[9], out[0]}, {"dlse", in[10], out[1]}} {
		if w.have.DType != ir.Invalid && !w.have.Equal(w.want) {
			return nil, fmt.Errorf("%s is %v, want %v", w.name, w.have, w.want)
		}
	}
	return in[:3:3], nil
}

// withStats has attention give what its gradient reads.
func withStats(attr any) any {
	at := attr.(AttentionAttr)
	at.Stats = true
	return at
}

func gradAttention(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
	at := n.Attr.(AttentionAttr)
	y, lse, dlse := ir.Value{Node: n}, ir.Value{Node: n, Out: 1}, ir.Value{}
	if at.Stats {
		dlse = dy[1]
	} else {
		out := b.Apply("attention", withStats(at), n.In...)
		y, lse = out[0], out[1]
	}
	if !dy[0].Valid() {
		dy[0] = b.Fill(0, n.Types[0].DType, n.Types[0].Shape...)
	}
	at.Stats = false
	in := append(n.In[:7:7], y, lse, dy[0], dlse)
	return append(b.Apply("attention_grad", at, in...)[:3:3], make([]ir.Value, 4)...)
}

// lowerAttentionGrad derives all but softmax itself.
func lowerAttentionGrad(b *Builder, n *ir.Node) []ir.Value {
	return b.Inlined(n.In, func(b *Builder, in []ir.Value) []ir.Value {
		g := b.grouped(n.Attr.(AttentionAttr), in)
		s := g.scores(b, in)
		column := func(x ir.Value) ir.Value {
			return g.queries(b, b.Reshape(x, append(x.Type().Shape[:3:3], ir.D(1))...))
		}
		weights := b.Exp(b.Sub(s, column(in[8])))
		values := g.ofKeys(b, in[2])
		y, dy := g.queries(b, in[7]), g.queries(b, in[9])
		shift := b.Sum(b.Mul(dy, y), true, -1)
		if in[10].Valid() {
			shift = b.Sub(shift, column(in[10]))
		}
		ds := b.Mul(weights, b.Sub(b.MatMul(dy, values, false, true), shift))
		out := b.Grad(s, ds, in[0], in[1])
		return append(out, b.Grad(b.MatMul(weights, values, false, false), dy, in[2])...)
	})
}
