package train

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// HuberAttr describes where a squared error becomes a linear one.
type HuberAttr struct {
	Delta float64 `cue:"delta: number & >0 | *1" doc:"errors beyond this grow linearly"`
}

func mse() *Objective {
	return regression(Def{Name: "mse", Title: "MSE", Doc: "the mean of (y - target)².", Source: "torch.nn.functional.mse_loss"},
		func(b *op.Builder, d ir.Value, _ any) ir.Value { return b.Mul(d, d) })
}

func l1() *Objective {
	return regression(Def{Name: "l1", Title: "L1", Doc: "the mean of |y - target|.", Source: "torch.nn.functional.l1_loss"},
		func(b *op.Builder, d ir.Value, _ any) ir.Value { return b.Abs(d) })
}

func huber() *Objective {
	return regression(Def{Name: "huber", Title: "Huber", Attr: HuberAttr{},
		Doc:    "the mean of d²/2 where d = |y - target| is at most delta, else of delta (d - delta/2).",
		Source: "torch.nn.functional.huber_loss; Huber 1964"},
		func(b *op.Builder, d ir.Value, a any) ir.Value {
			// with m = min(d, delta) both are m (d - m/2)
			d = b.Abs(d)
			m := b.Select(b.Le(d, b.Scalar(a.(HuberAttr).Delta, d)), d, b.Scalar(a.(HuberAttr).Delta, d))
			return b.Mul(m, b.Sub(d, b.Mul(m, b.Scalar(0.5, d))))
		})
}

// regression completes an objective of the difference to a target, element by
// element.
func regression(d Def, loss func(b *op.Builder, d ir.Value, attr any) ir.Value) *Objective {
	return &Objective{Def: d, Output: "[...]",
		Inputs: []Input{likeOutput("targets", "what the output should be", "[...]"), element()},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			return total(b, loss(b, b.Sub(l.Y, l.In["targets"]), l.Attr), l)
		}}
}
