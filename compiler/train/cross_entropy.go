package train

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// CrossEntropyAttr describes the negative log-probability of classes.
type CrossEntropyAttr struct {
	IgnoreIndex    int     `cue:"ignore_index: int | *-100" doc:"targets of this value count nothing"`
	LabelSmoothing float64 `cue:"label_smoothing: number & >=0 & <1 | *0" doc:"share of the target that is spread over all classes"`
	ZLoss          float64 `cue:"z_loss: number & >=0 | *0" doc:"factor of ln(sum of exp(logits))², which keeps logits near 0"`
}

func crossEntropy() *Objective {
	return &Objective{
		Def: Def{Name: "cross_entropy", Title: "CrossEntropy", Attr: CrossEntropyAttr{},
			Doc:    "the mean over tokens of z - y[target], where z = ln(sum of exp(y)): the negative log-probability of targets, in nats.",
			Source: "torch.nn.functional.cross_entropy; label smoothing arXiv:1512.00567, z_loss arXiv:2204.02311"},
		Output:  "[..., classes]",
		Ignores: true,
		Inputs: []Input{
			{Name: "targets", Doc: "the class of each row", DType: ir.I32, Layout: "[...]", Shape: rowsOf},
			perRow(),
		},
		Measures: []Measure{{Name: "accuracy", Doc: "the share of targets that no other class beats", sum: func(b *op.Builder, l Loss) ir.Value {
			targets, weights := counted(b, l)
			right := b.Ge(chosen(b, l.Y, targets), b.ReduceMax(l.Y, false, -1))
			return b.Sum(b.Mul(b.Cast(right, weights.Type().DType), weights), false)
		}}},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			at, y := l.Attr.(CrossEntropyAttr), l.Y
			lastKnown(b, "cross_entropy", y)
			_, weights := counted(b, l)
			loss := b.Apply("cross_entropy", op.CrossEntropyAttr{IgnoreIndex: at.IgnoreIndex, Smoothing: at.LabelSmoothing, ZLoss: at.ZLoss}, y, l.In["targets"])[0]
			l.In = map[string]ir.Value{"weights": weights}
			return total(b, loss, l)
		},
	}
}

// counted gives targets that are classes, class 0 where they are to be ignored,
// and how much each counts.
func counted(b *op.Builder, l Loss) (targets, weights ir.Value) {
	t := l.In["targets"]
	valid := b.Ne(t, b.Fill(float64(l.Attr.(CrossEntropyAttr).IgnoreIndex), t.Type().DType))
	weights = b.Cast(valid, l.Y.Type().DType)
	if w, ok := l.In["weights"]; ok && w.Valid() {
		weights = b.Mul(weights, w)
	}
	return b.Select(valid, t, b.Fill(0, t.Type().DType)), weights
}

// chosen returns y[..., index[...]]: y [..., classes], index [...] -> [...].
func chosen(b *op.Builder, y, index ir.Value) ir.Value {
	return b.Reshape(b.TakeAlong(y, b.Reshape(index, column(y)...), -1), index.Type().Shape...)
}
