package compiler

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

// doneName is the input that says how many steps were made before.
const doneName = "#done"

// The weight of a loss that adapts is at most maxAdaptive times what the
// document says; littleGradient keeps its divisor from 0. Source: arXiv:2012.09841,
// equation 7, and the code of the same authors.
const (
	maxAdaptive    = 1e4
	littleGradient = 1e-4
)

// termName is the output of the sum, or the count, of the i-th loss.
func termName(i int, what string) string { return fmt.Sprintf("#%s/%d", what, i) }

// combine adds up the losses, and returns the sum and what it is divided by in
// the end. Several are one, sum(weight mean) times the count of the first, so that
// training is the same whether counted by one or by several. An evaluation
// takes losses in full that training begins later, and none whose weight adapts,
// since it has no gradients.
func (l *learner) combine(at map[string]ir.Value) (sum, count ir.Value) {
	if l.Err() != nil {
		return sum, count
	}
	count = at[termName(0, "count")]
	learns := l.t.Phase != Evaluate
	add := func(i int, factor ir.Value) {
		t, s := l.t.Losses[i], at[termName(i, "sum")]
		l.Pos = t.Pos
		if i > 0 {
			s = l.Mul(l.Div(s, at[termName(i, "count")]), count)
		}
		if t.Weight != 1 {
			s = l.Mul(s, l.Scalar(t.Weight, s))
		}
		if learns && t.From+t.Ramp > 0 {
			s = l.Mul(s, l.Cast(l.begun(t), s.Type().DType))
		}
		if factor.Valid() {
			s = l.Mul(s, factor)
		}
		if sum.Valid() {
			s = l.Add(sum, s)
		}
		sum = s
	}
	for i, t := range l.t.Losses {
		if t.Weight != 0 && t.Adaptive == "" {
			add(i, ir.Value{})
		}
	}
	rest := sum
	for i, t := range l.t.Losses {
		if t.Weight != 0 && t.Adaptive != "" && learns {
			add(i, l.adaptive(t, rest, count, l.Div(at[termName(i, "sum")], at[termName(i, "count")])))
		}
	}
	if !sum.Valid() && l.Err() == nil {
		l.Fail(fmt.Errorf("no loss has a weight"))
	}
	l.output("loss", sum)
	l.output("count", count)
	return sum, count
}

// begun is the share of its weight that a loss has: 0 before its step From, and
// 1 once Ramp more are made.
func (l *learner) begun(t train.Term) ir.Value {
	var done ir.Value
	for _, v := range l.Graph.Inputs {
		if v.Node.InputName() == doneName {
			done = v
		}
	}
	if !done.Valid() {
		done = l.Graph.AddInput(doneName, ir.T(ir.F32), ir.Pos{Path: doneName})
	}
	share := l.Div(l.Add(done, l.Scalar(float64(1-t.From), done)), l.Scalar(float64(max(1, t.Ramp)), done))
	return l.Max(l.Min(share, l.Scalar(1, done)), l.Scalar(0, done))
}

// adaptive is the norm of the gradient of the sum of the other losses, over count,
// at a weight, divided by that of the mean of this one: a constant to gradients.
func (l *learner) adaptive(t train.Term, rest, count, mean ir.Value) ir.Value {
	l.Pos = t.Pos
	l.Pos.Path = t.Name + ".adaptive"
	fail := func(format string, args ...any) ir.Value {
		l.Fail(&op.Error{Pos: t.Pos, Op: t.Objective.Name, Err: fmt.Errorf(format, args...)})
		return mean
	}
	var weight ir.Value
	for _, s := range l.Graph.States {
		if s.Path == t.Adaptive {
			weight = s.Read
		}
	}
	if !weight.Valid() {
		return fail("adaptive is %q, which is no weight that the losses depend on", t.Adaptive)
	}
	if !rest.Valid() {
		return fail("adaptive wants another loss to compare with")
	}
	seed := l.Scalar(1, mean)
	if l.t.LossScale != nil { // the same factor for both gradients keeps narrow ones from vanishing
		seed = l.Cast(l.lossScale(), mean.Type().DType)
	}
	norm := func(y ir.Value, what string) ir.Value {
		g := l.Grad(y, seed, weight)[0]
		if l.Err() == nil && !g.Valid() {
			return fail("adaptive is %q, which %s", t.Adaptive, what)
		}
		return l.Cast(train.GlobalNorm(l.Builder, []ir.Value{g}), mean.Type().DType)
	}
	others := norm(l.Div(rest, count), "no other loss depends on")
	own := norm(mean, "the loss does not depend on")
	least := l.Mul(l.Scalar(littleGradient, seed), seed)
	ratio := l.Detach(l.Min(l.Div(others, l.Add(own, least)), l.Scalar(maxAdaptive, mean)))
	l.output("measure/"+t.Name+"/factor", l.Cast(ratio, ir.F32))
	return ratio
}
