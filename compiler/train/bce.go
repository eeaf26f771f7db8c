package train

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// BCEAttr describes the cross-entropy of yes and no.
type BCEAttr struct {
	PosWeight float64 `cue:"pos_weight: number & >0 | *1" doc:"how much a target of 1 counts"`
}

func bce() *Objective {
	return binary(Def{Name: "bce", Title: "BCE", Attr: BCEAttr{},
		Doc:    "the mean of -(pos_weight t ln p + (1 - t) ln(1 - p)), where p = sigmoid(y).",
		Source: "torch.nn.functional.binary_cross_entropy_with_logits"},
		func(b *op.Builder, y, t ir.Value, a any) ir.Value {
			p := a.(BCEAttr).PosWeight
			if p == 1 {
				return b.Sub(softplus(b, y), b.Mul(y, t))
			}
			// p t softplus(-y) + (1 - t) softplus(y), where softplus(-y) = softplus(y) - y
			plus := softplus(b, y)
			yes := b.Mul(b.Mul(t, b.Scalar(p, y)), b.Sub(plus, y))
			return b.Add(yes, b.Mul(b.Sub(b.Scalar(1, t), t), plus))
		})
}

// FocalAttr describes the focal loss.
type FocalAttr struct {
	Alpha float64 `cue:"alpha: number & >=0 & <=1 | *0.25" doc:"how much a target of 1 counts; a target of 0 counts 1 - alpha"`
	Gamma float64 `cue:"gamma: 0 | number & >=1 | *2" doc:"how much less a prediction counts the better it is"`
}

func focal() *Objective {
	return binary(Def{Name: "focal", Title: "Focal", Attr: FocalAttr{},
		Doc:    "the mean of -a (1 - q)^gamma ln q, where q is the probability of the target by p = sigmoid(y), and a is alpha for 1 and 1 - alpha for 0.",
		Source: "arXiv:1708.02002"},
		func(b *op.Builder, y, t ir.Value, a any) ir.Value {
			at := a.(FocalAttr)
			c := func(v float64) ir.Value { return b.Scalar(v, y) }
			no := b.Sub(c(1), t)
			loss := b.Sub(softplus(b, y), b.Mul(y, t))
			miss := b.Add(b.Mul(b.Sigmoid(y), no), b.Mul(b.Sigmoid(b.Neg(y)), t)) // 1 - q
			switch at.Gamma {
			case 0:
			case 1:
				loss = b.Mul(loss, miss)
			case 2:
				loss = b.Mul(loss, b.Mul(miss, miss))
			default:
				loss = b.Mul(loss, b.Pow(miss, c(at.Gamma)))
			}
			return b.Mul(loss, b.Add(b.Mul(t, c(at.Alpha)), b.Mul(no, c(1-at.Alpha))))
		})
}

// binary completes an objective of logits and of targets between 0 and 1,
// element by element.
func binary(d Def, loss func(b *op.Builder, y, t ir.Value, attr any) ir.Value) *Objective {
	return &Objective{Def: d, Output: "[...]",
		Inputs: []Input{likeOutput("targets", "from 0 to 1", "[...]"), element()},
		Measures: []Measure{{Name: "accuracy", Doc: "the share of elements whose probability is on the target's side of a half", sum: func(b *op.Builder, l Loss) ir.Value {
			right := b.Eq(b.Gt(l.Y, b.Scalar(0, l.Y)), b.Gt(l.In["targets"], b.Scalar(0.5, l.Y)))
			sum, _ := total(b, b.Cast(right, l.Y.Type().DType), l)
			return sum
		}}},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			return total(b, loss(b, l.Y, l.In["targets"], l.Attr), l)
		}}
}

// softplus writes ln(1 + exp(x)) as max(x, 0) + ln(1 + exp(-|x|)), which does
// not overflow.
func softplus(b *op.Builder, x ir.Value) ir.Value {
	return b.Add(b.Max(x, b.Scalar(0, x)), b.Log(b.Add(b.Scalar(1, x), b.Exp(b.Neg(b.Abs(x))))))
}
