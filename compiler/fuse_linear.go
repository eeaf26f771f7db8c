package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// fuseSiLU: x * sigmoid(x) -> act silu.
func fuseSiLU(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	var x ir.Value
	if n.Op != "mul" || !either(n, func(a, b ir.Value) bool {
		x = a
		s := r.from(b, "sigmoid")
		return s != nil && s.In[0] == a
	}) {
		return nil
	}
	return r.Apply("act", op.ActAttr{Fn: "silu"}, r.now(x))
}

// fuseMatMul: x @ W, for a weight W, -> linear.
func fuseMatMul(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	if n.Op != "matmul" {
		return nil
	}
	a := n.Attr.(op.MatMulAttr)
	x, w := n.In[0], n.In[1]
	transposed := a.TransB
	if w.Node.Op == "cast" && w.Type().DType == ir.F32 && w.Node.In[0].Type().DType.Float() && w.Node.In[0].Type().DType != ir.F64 {
		w = w.Node.In[0] // a product reads every stored type as it is
	}
	if t := r.from(w, "transpose"); t != nil && t.In[0].Type().Rank() == 2 && t.Attr == (op.TransposeAttr{Perm: "1,0"}) {
		w, transposed = t.In[0], !transposed
	}
	if w.Node.Op == "parameter" {
		w = w.Node.In[0]
	}
	if w.Node.Op != ir.OpState || w.Type().Rank() != 2 || a.TransA || x.Type().Rank() < 2 || x.Type().DType != ir.F32 {
		return nil
	}
	out := last(n.Types[0])
	if !out.Known() {
		return nil
	}
	return r.Apply("linear", op.LinearAttr{OutFeatures: out.N, Transpose: !transposed, TF32: a.TF32}, r.now(x), r.now(w))
}

// fuseBias: linear + b -> linear with a bias.
func fuseBias(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	var l *ir.Node
	var bias ir.Value
	if n.Op != "add" || !either(n, func(a, b ir.Value) bool {
		l, bias = r.from(a, "linear"), b
		return l != nil && vector(b, last(n.Types[0])) && b.Type().DType.Float()
	}) {
		return nil
	}
	attr := l.Attr.(op.LinearAttr)
	if attr.Bias || attr.Act != "" || !l.Types[0].Equal(n.Types[0]) {
		return nil
	}
	attr.Bias = true
	return r.Apply("linear", attr, r.now(l.In[0]), r.now(l.In[1]), r.now(bias))
}

// fuseActivation: act(linear) -> linear with an activation.
func fuseActivation(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	fn := plainActivation(n)
	if fn == "" {
		return nil
	}
	l := r.from(n.In[0], "linear")
	if l == nil || l.Attr.(op.LinearAttr).Act != "" {
		return nil
	}
	attr := l.Attr.(op.LinearAttr)
	attr.Act = fn
	return r.Apply("linear", attr, r.nows(l.In)...)
}

// plainActivation is the function that n applies, if it has no parameter.
func plainActivation(n *ir.Node) string {
	switch n.Op {
	case "act":
		if fn := n.Attr.(op.ActAttr).Fn; fn != "leaky_relu" && fn != "elu" {
			return fn
		}
	case "sigmoid", "tanh":
		return n.Op
	}
	return ""
}

// fuseGated: act(linear(x)) * linear(x) -> gated_linear.
func fuseGated(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	var gate, up *ir.Node
	if n.Op != "mul" || !either(n, func(a, b ir.Value) bool {
		gate, up = r.from(a, "linear"), r.from(b, "linear")
		return gate != nil && up != nil && gate.Attr.(op.LinearAttr).Act != "" && up.Attr.(op.LinearAttr).Act == ""
	}) {
		return nil
	}
	g, u := gate.Attr.(op.LinearAttr), up.Attr.(op.LinearAttr)
	if gate.In[0] != up.In[0] || g.Bias || u.Bias || g.Transpose || u.Transpose || g.OutFeatures != u.OutFeatures || g.TF32 != u.TF32 {
		return nil
	}
	if gate.In[1].Type().DType != up.In[1].Type().DType {
		return nil
	}
	return r.Apply("gated_linear", op.GatedLinearAttr{OutFeatures: g.OutFeatures, Act: g.Act, TF32: g.TF32},
		r.now(gate.In[0]), r.now(gate.In[1]), r.now(up.In[1]))
}

// fuseHalves: act(one half of linear(x)) * the other half -> gated_halves.
func fuseHalves(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	var l *ir.Node
	var at op.GatedHalvesAttr
	if n.Op != "mul" || !either(n, func(a, b ir.Value) bool {
		act, up := r.from(a, "act"), r.from(b, "slice")
		if act == nil || up == nil || plainActivation(act) == "" {
			return false
		}
		gate := r.from(act.In[0], "slice")
		if gate == nil || gate.In[0] != up.In[0] || up.In[0].Node.Op != "linear" || r.reads(up.In[0]) != 2 {
			return false
		}
		l = up.In[0].Node
		width := l.Attr.(op.LinearAttr).OutFeatures
		first := op.SliceAttr{Axis: -1, Stop: width / 2, Step: 1}
		second := op.SliceAttr{Axis: -1, Start: width / 2, Stop: width, Step: 1}
		g, u := gate.Attr.(op.SliceAttr), up.Attr.(op.SliceAttr)
		at = op.GatedHalvesAttr{OutFeatures: width / 2, Act: plainActivation(act), GateFirst: g == first}
		return width%2 == 0 && (g == first && u == second || g == second && u == first)
	}) {
		return nil
	}
	a := l.Attr.(op.LinearAttr)
	if a.Act != "" || a.Transpose || l.In[1].Type().DType.Blocked() {
		return nil
	}
	at.Bias, at.TF32 = a.Bias, a.TF32
	return r.Apply("gated_halves", at, r.nows(l.In)...)
}

// fuseGate: act(gate) * up -> gated_act, whose gradient needs nothing but gate
// and up.
func fuseGate(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	var gate, up ir.Value
	var at op.ActAttr
	if n.Op != "mul" || !either(n, func(a, b ir.Value) bool {
		act := r.from(a, "act")
		if act == nil || !a.Type().Equal(n.Types[0]) || !b.Type().Equal(n.Types[0]) {
			return false
		}
		gate, up, at = act.In[0], b, act.Attr.(op.ActAttr)
		return true
	}) {
		return nil
	}
	return r.Apply("gated_act", at, r.now(gate), r.now(up))
}
