package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// fuseSoftmax: e / sum(e), e = exp(x - max(x)) -> softmax, over the last axis.
func fuseSoftmax(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	if n.Op != "div" {
		return nil
	}
	sum := r.from(n.In[1], "reduce_sum")
	e := n.In[0].Node
	if sum == nil || !lastAxis(sum) || sum.In[0] != n.In[0] || e.Op != "exp" || r.reads(n.In[0]) != 2 {
		return nil
	}
	shifted := r.from(e.In[0], "sub")
	if shifted == nil {
		return nil
	}
	largest := r.from(shifted.In[1], "reduce_max")
	if largest == nil || !lastAxis(largest) || largest.In[0] != shifted.In[0] {
		return nil
	}
	return r.Apply("softmax", op.AxisAttr{Axis: -1}, r.now(shifted.In[0]))
}

// normalised matches d * rsqrt(m + eps) or d / sqrt(m + eps), and returns d, m
// and eps.
func (r *rewriter) normalised(v ir.Value) (d, m ir.Value, eps float64, ok bool) {
	root := func(x ir.Value, name string) bool {
		s := r.from(x, name)
		if s == nil {
			return false
		}
		add := r.from(s.In[0], "add")
		return add != nil && either(add, func(a, b ir.Value) bool {
			m = a
			eps, ok = scalar(b)
			return ok
		})
	}
	if n := r.from(v, "mul"); n != nil {
		ok = either(n, func(a, b ir.Value) bool { d = a; return root(b, "rsqrt") })
	} else if n := r.from(v, "div"); n != nil {
		d = n.In[0]
		ok = root(n.In[1], "sqrt")
	}
	return d, m, eps, ok
}

// meanSquare reports whether m is mean(d²) over the last axis.
func (r *rewriter) meanSquare(m, d ir.Value) bool {
	mean := r.from(m, "reduce_mean")
	if mean == nil || !lastAxis(mean) || !r.single(mean.In[0]) {
		return false
	}
	switch sq := mean.In[0].Node; sq.Op {
	case "mul":
		return sq.In[0] == d && sq.In[1] == d
	case "pow":
		two, ok := scalar(sq.In[1])
		return ok && two == 2 && sq.In[0] == d
	}
	return false
}

// fuseRMSNorm: x * rsqrt(mean(x²) + eps) * w -> rms_norm.
func fuseRMSNorm(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	var x, w ir.Value
	var eps float64
	if n.Op != "mul" || !either(n, func(a, b ir.Value) bool {
		d, m, e, ok := r.normalised(a)
		x, w, eps = d, b, e
		return ok && r.meanSquare(m, d) && vector(b, last(n.Types[0]))
	}) {
		return nil
	}
	return r.Apply("rms_norm", op.RMSNormAttr{Eps: eps}, r.now(x), r.now(w))
}

// fuseLayerNorm: (x - mean(x)) * rsqrt(var(x) + eps) * w + b -> layer_norm.
func fuseLayerNorm(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	var x, w, bias ir.Value
	var eps float64
	scaled := func(v ir.Value) bool {
		mul := r.from(v, "mul")
		return mul != nil && either(mul, func(a, b ir.Value) bool {
			d, m, e, ok := r.normalised(a)
			if !ok || d.Node.Op != "sub" || !vector(b, last(n.Types[0])) {
				return false
			}
			mean := d.Node.In[1].Node
			x, w, eps = d.Node.In[0], b, e
			centred := mean.Op == "reduce_mean" && lastAxis(mean) && mean.In[0] == x
			spread := r.from(m, "variance")
			return centred && (r.meanSquare(m, d) || spread != nil && lastAxis(spread) && spread.In[0] == x)
		})
	}
	if n.Op != "add" || !either(n, func(a, b ir.Value) bool {
		bias = b
		return vector(b, last(n.Types[0])) && scaled(a)
	}) {
		return nil
	}
	return r.Apply("layer_norm", op.LayerNormAttr{Eps: eps, Affine: true}, r.now(x), r.now(w), r.now(bias))
}

// fuseNormActivation: silu(group_norm) -> group_norm with an activation, as before
// every convolution of a U-Net.
func fuseNormActivation(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	if plainActivation(n) != "silu" {
		return nil
	}
	g := r.from(n.In[0], "group_norm")
	if g == nil || g.Attr.(op.GroupNormAttr).Act != "" {
		return nil
	}
	at := g.Attr.(op.GroupNormAttr)
	at.Act = "silu"
	return r.Apply("group_norm", at, r.nows(g.In)...)
}
