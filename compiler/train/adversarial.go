package train

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// AdversarialAttr describes one side of a contest of two networks.
type AdversarialAttr struct {
	Form string `cue:"form: \"logistic\" | \"least_squares\" | \"wasserstein\" | *\"hinge\"" doc:"how a logit is judged"`
	As   string `cue:"as!: \"real\" | \"made\" | \"fooled\"" doc:"what y is: the discriminator's logits of real data, those of made data, or those of made data that the generator wants to pass for real"`
}

// adversarial: y are logits of a discriminator, of any shape.
func adversarial() *Objective {
	return &Objective{
		Def: Def{Name: "adversarial", Title: "Adversarial", Attr: AdversarialAttr{},
			Doc: "the mean of, for as real, made and fooled: hinge max(1 - y, 0), max(1 + y, 0), -y; logistic, which does not saturate, ln(1 + exp(-y)), ln(1 + exp(y)), ln(1 + exp(-y)); least_squares (y - 1)², y², (y - 1)²; wasserstein -y, y, -y.",
			Source: "hinge arXiv:1705.02894, logistic arXiv:1406.2661, least_squares arXiv:1611.04076, wasserstein arXiv:1701.07875, " +
				"as the discriminators' losses of arXiv:2012.09841, which are halved there"},
		Output: "[...]",
		Inputs: []Input{element()},
		Measures: []Measure{{Name: "fooled", Doc: "the share of logits on the real side: above 0, of least_squares above a half", sum: func(b *op.Builder, l Loss) ir.Value {
			edge := 0.0
			if l.Attr.(AdversarialAttr).Form == "least_squares" {
				edge = 0.5
			}
			sum, _ := total(b, b.Cast(b.Gt(l.Y, b.Scalar(edge, l.Y)), l.Y.Type().DType), l)
			return sum
		}}},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			at, y := l.Attr.(AdversarialAttr), l.Y
			toReal := y // grows as y goes to the side where it should be
			if at.As == "made" {
				toReal = b.Neg(y)
			}
			one := b.Scalar(1, y)
			var loss ir.Value
			switch {
			case at.Form == "least_squares" && at.As == "made":
				loss = b.Mul(y, y)
			case at.Form == "least_squares":
				loss = b.Mul(b.Sub(y, one), b.Sub(y, one))
			case at.Form == "logistic":
				loss = softplus(b, b.Neg(toReal))
			case at.Form == "wasserstein" || at.As == "fooled":
				loss = b.Neg(toReal)
			default:
				loss = b.Max(b.Sub(one, toReal), b.Scalar(0, y))
			}
			return total(b, loss, l)
		},
	}
}
