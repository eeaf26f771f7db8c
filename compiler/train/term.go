package train

import "pipe.dev/compiler/ir"

// Term is one term of what training makes small: an objective of values of a
// model. The sum of the terms' means, each times its weight, is the loss.
type Term struct {
	Name      string // what metrics call it, if there are several
	Objective *Objective
	Attr      any
	Y         string            // token of the value that is judged; "" is the model's output
	In        map[string]Source // of the objective's inputs
	Weight    float64           // 0 of a term that is only reported
	// From is the number of steps that are made without the term, Ramp that of
	// those in which its weight grows to the whole of it.
	From, Ramp int
	// Adaptive is the path of a weight: the term's own weight is multiplied by
	// the norm of the gradient that the other terms have there, over that of this
	// one. "" is none.
	Adaptive string
	Measures []string // of the objective, that evaluations report
	// StepMeasures are those that steps report.
	StepMeasures []string
	Pos          ir.Pos
}

// CountVaries reports whether what the term's sum is divided by depends on the
// data, not on their number alone.
func (t Term) CountVaries() bool {
	_, weighted := t.In["weights"]
	return weighted || t.Objective.Ignores
}

// Source is where an input of an objective comes from: a value of the model,
// named by its token, or an input of the batch, or else one number throughout.
type Source struct {
	Token, Batch string
	Value        float64
}
