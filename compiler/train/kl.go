package train

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// KLAttr describes learning from another model.
type KLAttr struct {
	Targets     string  `cue:"targets: \"logits\" | \"probabilities\" | *\"logits\"" doc:"what the targets are; the temperature applies to logits alone"`
	Temperature float64 `cue:"temperature: number & >0 | *1" doc:"logits of both are divided by it, the loss multiplied by its square"`
}

// kl is 0 where a target's probability is 0.
func kl() *Objective {
	return &Objective{
		Def: Def{Name: "kl", Title: "KL", Attr: KLAttr{},
			Doc:    "the mean over rows of sum of p (ln p - ln q), where q = softmax(y) and p are the targets' probabilities.",
			Source: "torch.nn.functional.kl_div; arXiv:1503.02531"},
		Output: "[..., classes]",
		Inputs: []Input{likeOutput("targets", "logits or probabilities of the other model", "[..., classes]"), perRow()},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			at := l.Attr.(KLAttr)
			c := func(v float64) ir.Value { return b.Scalar(v, l.Y) }
			warm := func(x ir.Value) ir.Value {
				if at.Temperature == 1 {
					return x
				}
				return b.Mul(x, c(1/at.Temperature))
			}
			q := b.LogSoftmax(warm(l.Y), -1)
			var p, logP ir.Value
			if at.Targets == "logits" {
				logP = b.LogSoftmax(warm(l.In["targets"]), -1)
				p = b.Exp(logP)
			} else {
				p = l.In["targets"]
				logP = b.Log(b.Select(b.Gt(p, c(0)), p, c(1)))
			}
			loss := b.Sum(b.Mul(p, b.Sub(logP, q)), false, -1)
			if at.Temperature != 1 {
				loss = b.Mul(loss, c(at.Temperature*at.Temperature))
			}
			return total(b, loss, l)
		},
	}
}
