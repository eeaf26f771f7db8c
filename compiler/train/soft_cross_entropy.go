package train

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// SoftCrossEntropyAttr describes the cross-entropy with probabilities of classes.
type SoftCrossEntropyAttr struct {
	LabelSmoothing float64 `cue:"label_smoothing: number & >=0 & <1 | *0" doc:"share of the targets that is spread over all classes"`
}

// softCrossEntropy is cross_entropy for targets that are mixed: without mixing, of one-hot targets, both are equal.
func softCrossEntropy() *Objective {
	return &Objective{
		Def: Def{Name: "soft_cross_entropy", Title: "SoftCrossEntropy", Attr: SoftCrossEntropyAttr{},
			Doc:    "the mean over rows of sum of p (-ln q), where q = softmax(y) and p are the targets' probabilities, as mixup and cutmix make them.",
			Source: "torch.nn.functional.cross_entropy with probabilities of classes"},
		Output: "[..., classes]",
		Inputs: []Input{likeOutput("targets", "the probability of each class", "[..., classes]"), perRow()},
		Measures: []Measure{{Name: "accuracy", Doc: "the share of rows whose greatest output is that of the most probable class", sum: func(b *op.Builder, l Loss) ir.Value {
			target := l.In["targets"]
			most := b.ReduceMax(l.Y, true, -1)
			chosen := b.ReduceMax(b.Select(b.Ge(l.Y, most), target, b.Fill(0, target.Type().DType)), false, -1)
			right := b.Cast(b.Ge(chosen, b.ReduceMax(target, false, -1)), l.Y.Type().DType)
			sum, _ := total(b, right, l)
			return sum
		}}},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			classes, p := lastKnown(b, "soft_cross_entropy", l.Y), l.In["targets"]
			if s := l.Attr.(SoftCrossEntropyAttr).LabelSmoothing; s > 0 {
				p = b.Add(b.Mul(p, b.Scalar(1-s, p)), b.Scalar(s/float64(classes), p))
			}
			return total(b, b.Neg(b.Sum(b.Mul(p, b.LogSoftmax(l.Y, -1)), false, -1)), l)
		},
	}
}
