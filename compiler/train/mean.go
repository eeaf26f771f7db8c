package train

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// mean is the objective of a model that computes its loss itself.
func mean() *Objective {
	return &Objective{
		Def: Def{Name: "mean", Title: "Mean", Doc: "the mean of y, which the model computes: a distance of features, what a quantiser costs, or, with a weight of 0, a figure that is only reported.",
			Source: "the mean"},
		Output: "[...]",
		Inputs: []Input{element()},
		loss:   func(b *op.Builder, l Loss) (ir.Value, ir.Value) { return total(b, l.Y, l) },
	}
}
