package compiler

import (
	"strconv"

	"pipe.dev/compiler/ir"
)

// The states of loss scaling, scalars of f32: the scale, how many good steps
// there were in a row, and how many in all.
const (
	scaleName = "scale"
	runName   = "scale_run"
	madeName  = "steps"
)

// scaling is what a phase knows of its loss scale.
type scaling struct {
	scale *ir.State
	good  ir.Value // whether the step counts
}

func (l *learner) scalar(name string, init float64) *ir.State {
	return l.Graph.AddState(ir.State{Path: "#" + l.t.slot(name), Kind: ir.Moment, Init: strconv.FormatFloat(init, 'g', -1, 64)}, ir.T(ir.F32))
}

// seed is the gradient that gradients of the sum start from: 1, or with loss
// scaling the scale divided by the count, as of a mean.
func (l *learner) seed(sum, count ir.Value) ir.Value {
	if l.t.LossScale == nil {
		return l.Scalar(1, sum)
	}
	l.Pos = ir.Pos{Path: "scale"}
	return l.Cast(l.Div(l.lossScale(), l.atLeastOne(count)), sum.Type().DType)
}

// lossScale reads the scale.
func (l *learner) lossScale() ir.Value {
	if l.scale == nil {
		l.scale = l.scalar(scaleName, l.t.LossScale.Init)
	}
	return l.scale.Read
}

// unscale takes back what seed has done to the gradients.
func (l *learner) unscale(grads []ir.Value, count ir.Value) []ir.Value {
	if l.t.LossScale == nil || l.Err() != nil {
		return grads
	}
	l.Pos = ir.Pos{Path: "unscale"}
	by := l.Div(l.atLeastOne(count), l.scale.Read)
	for i, g := range grads {
		grads[i] = l.Mul(g, l.Cast(by, g.Type().DType))
	}
	return grads
}

func (l *learner) atLeastOne(count ir.Value) ir.Value {
	c := l.Cast(count, ir.F32)
	return l.Max(c, l.Scalar(1, c))
}

// judge decides by the norm of the gradients whether the step counts, and
// returns its number: of all steps, or of those that counted.
func (l *learner) judge(norm, step ir.Value) ir.Value {
	s := l.t.LossScale
	if s == nil || l.Err() != nil {
		return step
	}
	l.Pos = ir.Pos{Path: "scale"}
	l.lossScale()
	run, made := l.scalar(runName, 0), l.scalar(madeName, 0)
	l.good = s.Good(l.Builder, l.Cast(norm, ir.F32))
	l.scale.Next, run.Next = s.Next(l.Builder, l.good, l.scale.Read, run.Read)
	number := l.Add(made.Read, l.Scalar(1, made.Read))
	made.Next = l.kept(number, made.Read)
	l.output("loss_scale", l.scale.Next)
	l.output("skipped", l.Cast(l.Not(l.good), ir.F32))
	return number
}

// kept is next if the step counts, else old.
func (l *learner) kept(next, old ir.Value) ir.Value {
	if !l.good.Valid() || l.Err() != nil {
		return next
	}
	return l.Select(l.good, next, old)
}
