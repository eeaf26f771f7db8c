package compiler

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

// Training says how a model learns: what is made small, and how its weights
// change by their gradients. All of it becomes part of the graph.
type Training struct {
	Phase Phase
	// Part names one of several parts of a step that have losses and optimizers
	// of their own, as the two of an adversarial training; "" if there is one.
	Part          string
	Losses        []train.Term
	Optimizer     *train.Optimizer
	OptimizerAttr any
	// Precision is the type that the model computes in, F32, BF16 or F16; the
	// zero value is F32. Weights that change, and what the optimizer keeps,
	// stay f32.
	Precision ir.DType
	// Apart has the weights change on another device than the one that makes their gradients: the phases are Begin and
	// Accumulate, on the one, and Update, on the other, which leaves the sums as they are.
	Apart bool
	// Copied says of such a training which weights, and averages, of the model are copies, which may lie there as narrow as they are
	// computed with; nil is none.
	Copied    func(path string) bool
	LossScale *train.LossScale // of gradients that are narrow; nil is none
	Average   *train.Average   // of the weights that change; nil is none
	Balance   *train.Balance   // of what experts get, by their biases; nil is none
	Seed      uint64           // of what is left out at random
	// Adapter, if set, is added to the model.
	Adapter *Adapter
	// Isolate keeps documents in a row from seeing each other, by the input
	// "segments" [batch, seq].
	Isolate bool
	// Trained says which weights change; nil means all, or, where there is an adapter, its own.
	Trained func(path string, shape []ir.Dim) bool
	// Learns says which statistics of the data change, with whatever part of a step; nil means all.
	Learns func(path string) bool
	// Norm says how a weight is written while it is trained; nil means all as they are.
	Norm func(path string) train.Norm
	// Rate gives the factor of the learning rate of a weight; nil means 1.
	Rate func(path string) float64
	// Decays says to which weights weight decay applies; nil means all.
	Decays func(path string, shape []ir.Dim) bool
	// Recompute is the number of blocks, from the first, of which the backward
	// pass computes anew what it needs; AllBlocks is all of them.
	Recompute int
	ClipNorm  float64 // bound of the norm of all gradients together; 0 is none
	ClipValue float64 // bound of every element of the gradients; 0 is none
}

// Phase is a part of a training step.
type Phase string

// The phases. A step is either Step, or Accumulate for each micro-batch and
// then Update; both give the same, since sums are added and divided by the
// counts of all micro-batches. Sums begin anew in Update, or, where that is apart, in Begin, which comes first and has no
// inputs nor outputs. All but these have outputs "loss" (the sum)
// and "count", outputs "mean/NAME", those of each of several losses, and
// "measure/NAME", what is measured besides, which may have an axis; Step and Update have the output
// "grad_norm" and the inputs "lr" and "step", scalars, the step counting from 1. Where a loss
// does not count from the first step on, all that make gradients have the input "#done", the
// number of steps that were made before, a scalar.
// The sum of squares of the gradient of each weight, before clipping by the
// norm, is an output too: its name is the weight's after GradSquare.
const (
	Step       Phase = "step"
	Begin      Phase = "begin"
	Accumulate Phase = "accumulate"
	Update     Phase = "update"
	Evaluate   Phase = "evaluate"
)

// computes reports whether a phase computes the model.
func (p Phase) computes() bool { return p != Begin && p != Update }

// GradSquare is what the names of the outputs for the weights begin with.
const GradSquare = "grad_square/"

// learn turns the graph of a model into that of a training phase.
func learn(c *context, g *ir.Graph) (*ir.Graph, error) {
	t := c.opt.Training
	if t == nil {
		return g, nil
	}
	l := &learner{Builder: op.NewBuilder(c.table), t: t, old: g, base: c.base}
	switch t.Phase {
	case Evaluate:
		l.forward(func(*ir.Node) bool { return true })
		l.readAverages()
	case Step:
		sum, count := l.forward(l.hasGradient)
		l.update(l.gradients(sum, count), count)
		l.balance(l.loads())
	case Accumulate:
		sum, count := l.forward(l.hasGradient)
		sums, all := l.sums() // before the gradients that are added to them
		l.accumulate(l.gradients(sum, count), count, sums, all)
	case Begin:
		l.readWeights()
		l.begin(l.allSums())
	case Update:
		l.fromSums()
	default:
		return nil, fmt.Errorf("there is no phase %q", t.Phase)
	}
	if l.Err() != nil {
		return nil, l.Err()
	}
	return prune(joinLosses(prune(l.Graph))), nil
}

type learner struct {
	*op.Builder
	t       *Training
	old     *ir.Graph
	base    *ir.Graph   // the model without adapters
	weights []*ir.State // those that change by gradients, in the order of the graph
	biases  []*ir.State // those that change by the load of experts
	load    ir.Value    // of all layers of experts
	counted ir.Value    // number of the step
	scaling
}

// hasGradient says which ops stay whole: those with a gradient of their own,
// for all inputs that want one.
func (l *learner) hasGradient(n *ir.Node) bool {
	d, ok := l.Table.Lookup(n.Op)
	if !ok || d.Grad == nil {
		return false
	}
	for _, k := range d.Flat {
		if fromWeights(n.In[k], map[*ir.Node]bool{}) {
			return false
		}
	}
	return true
}

// fromWeights reports whether v depends on a weight; seen holds the nodes that
// do not.
func fromWeights(v ir.Value, seen map[*ir.Node]bool) bool {
	if !v.Valid() || seen[v.Node] {
		return false
	}
	seen[v.Node] = true
	return v.Node.Op == ir.OpState || slices.ContainsFunc(v.Node.In, func(x ir.Value) bool { return fromWeights(x, seen) })
}

// forGradients has ops give the results that their gradients read.
func (l *learner) forGradients(g *ir.Graph) {
	for _, n := range g.Nodes {
		d, ok := l.Table.Lookup(n.Op)
		if !ok || d.ForGrad == nil {
			continue
		}
		n.Attr = d.ForGrad(n.Attr)
		types, err := d.Infer(ir.TypesOf(n.In), n.Attr)
		if err != nil {
			l.Fail(&op.Error{Pos: n.Pos, Op: n.Op, Err: err})
			return
		}
		n.Types = types
	}
}

// forward writes the model and its losses; keep says which ops stay whole.
func (l *learner) forward(keep func(*ir.Node) bool) (sum, count ir.Value) {
	w := &lossWriter{Builder: op.NewBuilder(l.Table), t: l.t, model: l.old, base: l.base}
	w.write()
	if w.Err() != nil {
		l.Fail(w.Err())
		return sum, count
	}
	g, err := rewrite(l.Table, w.Graph, fuseLoss)
	if err != nil {
		l.Fail(err)
		return sum, count
	}
	if l.t.Phase != Evaluate {
		if g, err = rewrite(l.Table, g, fuseGate); err != nil {
			l.Fail(err)
			return sum, count
		}
		l.forGradients(g)
	}
	at := l.Lowered(g, keep)
	for _, s := range l.Graph.States {
		l.trained(s)
	}
	found := map[string]ir.Value{}
	l.Graph.Outputs = slices.DeleteFunc(l.Graph.Outputs, func(o ir.Output) bool { return strings.HasPrefix(o.Name, "#") })
	for _, o := range g.Outputs {
		found[o.Name] = at[o.Value]
	}
	l.load = found[loadName]
	return l.combine(found)
}

// trained notes a weight that changes.
func (l *learner) trained(s *ir.State) {
	t := s.Read.Type()
	_, copied := train.ReferenceOf(s.Path)
	changes := l.t.Adapter == nil || train.IsAdapter(s.Path)
	if l.t.Trained != nil {
		changes = l.t.Trained(s.Path, t.Shape)
	}
	if s.Kind != ir.Weight || s.Statistic || !t.DType.Float() || !changes || copied {
		return
	}
	s.Changes = true
	if l.t.balanced(s.Path, t.Shape) {
		l.biases = append(l.biases, s)
	} else {
		l.weights = append(l.weights, s)
	}
}

func (l *learner) output(name string, v ir.Value) {
	l.Graph.Outputs = append(l.Graph.Outputs, ir.Output{Name: name, Value: v})
}

// gradients are those of the sum of losses, for each weight that changes.
func (l *learner) gradients(sum, count ir.Value) []ir.Value {
	if l.Err() != nil {
		return nil
	}
	if len(l.weights) == 0 {
		l.Fail(fmt.Errorf("no weight is trained"))
		return nil
	}
	xs := make([]ir.Value, len(l.weights))
	for i, s := range l.weights {
		xs[i] = s.Read
	}
	grads := l.Grad(sum, l.seed(sum, count), xs...)
	narrow := len(l.Graph.Nodes)
	for i, g := range grads {
		grads[i] = l.wideGradient(g)
		if !g.Valid() && l.Err() == nil { // the loss does not depend on it
			grads[i] = l.Fill(0, xs[i].Type().DType, xs[i].Type().Shape...)
		}
	}
	l.Graph.Hoist(narrow)
	return l.unscale(grads, count)
}

// update writes the step of the optimizer. grads are those of the sum.
func (l *learner) update(grads []ir.Value, count ir.Value) {
	if l.Err() != nil {
		return
	}
	l.Pos = ir.Pos{Path: "mean"}
	share := l.Div(l.Scalar(1, count), count)
	for i, g := range grads {
		grads[i] = l.Mul(g, l.Cast(share, g.Type().DType))
	}
	l.Pos = ir.Pos{Path: "clip"}
	if l.t.ClipValue > 0 {
		grads = train.ClipByValue(l.Builder, grads, l.t.ClipValue)
	}
	squares := train.SquaredNorms(l.Builder, grads) // the norm of all is made of these: cse makes them one
	var norm ir.Value
	if l.t.ClipNorm > 0 {
		grads, norm = train.ClipByNorm(l.Builder, grads, l.t.ClipNorm)
	} else {
		norm = train.GlobalNorm(l.Builder, grads)
	}
	l.output("grad_norm", norm)
	for i, w := range l.weights {
		l.output(GradSquare+w.Path, l.Cast(squares[i], ir.F32))
	}
	lr := l.Graph.AddInput("lr", ir.T(ir.F32), ir.Pos{Path: "lr"})
	step := l.Graph.AddInput("step", ir.T(ir.F32), ir.Pos{Path: "step"})
	step = l.judge(norm, step)
	l.counted = step
	for i, w := range l.weights {
		l.weight(w, grads[i], lr, step)
		l.average(w, step)
	}
}

// weight writes the step of one weight.
func (l *learner) weight(w *ir.State, grad, lr, step ir.Value) {
	t := w.Read.Type()
	part := l.t.Optimizer.Part(l.t.OptimizerAttr, w.Path, t.Shape)
	l.Pos = ir.Pos{Path: part.Optimizer.Name + "." + w.Path}
	var slots []*ir.State
	var values []ir.Value
	for _, s := range part.Optimizer.Slots(part.Attr, t) {
		made := l.Graph.AddState(ir.State{Path: w.Path + "#" + l.t.slot(s.Name), Kind: ir.Moment, Init: s.Init, Pos: l.Pos}, s.Type)
		slots, values = append(slots, made), append(values, made.Read)
	}
	rate := part.Rate
	if l.t.Rate != nil {
		rate *= l.t.Rate(w.Path)
	}
	if rate != 1 {
		lr = l.Mul(lr, l.Scalar(rate, lr))
	}
	next, values := part.Optimizer.Update(l.Builder, train.Update{
		Attr: part.Attr, W: w.Read, G: grad, LR: lr, Step: step, Slots: values,
		Decay: l.t.Decays == nil || l.t.Decays(w.Path, t.Shape),
	})
	w.Next = l.kept(next, w.Read)
	for i, s := range slots {
		s.Next = l.kept(values[i], s.Read)
	}
}

// slot names what the optimizer of a part keeps of a weight.
func (t *Training) slot(name string) string {
	if t.Part == "" {
		return name
	}
	return t.Part + "/" + name
}
