package train

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// DPOAttr describes learning from preferences.
type DPOAttr struct {
	Beta           float64 `cue:"beta: number & >0 | *0.1" doc:"how strongly the model is held near the reference"`
	LabelSmoothing float64 `cue:"label_smoothing: number & >=0 & <0.5 | *0" doc:"share of preferences that are the wrong way round"`
}

// dpo reads pairs: row 2i of the batch is the chosen answer, row 2i+1 the
// rejected one to the same question.
func dpo() *Objective {
	return &Objective{
		Def: Def{Name: "dpo", Title: "DPO", Attr: DPOAttr{},
			Doc:    "the mean over pairs of -ln sigmoid(beta (d - d_ref)), where d is the log-probability of the chosen answer less that of the rejected one; row 2i of the batch is chosen, row 2i+1 rejected.",
			Source: "arXiv:2305.18290, equation 7; label smoothing arXiv:2310.12036"},
		Output: "[2*pairs, seq, vocab]", Pairs: true,
		Inputs: []Input{
			{Name: "targets", Doc: "the token that each position should give", DType: ir.I32, Layout: "[2*pairs, seq]", Shape: rowsOf},
			{Name: "weights", Doc: "1 for tokens of the answer, else 0", DType: ir.F32, Layout: "[2*pairs, seq]", Shape: rowsOf},
			{Name: "reference", Doc: "log-probability of each answer by the model as it was when training began", DType: ir.F32, Layout: "[2*pairs]",
				Reference: func(b *op.Builder, y ir.Value, in map[string]ir.Value) ir.Value {
					return SequenceLogProbs(b, b.Cast(y, wideType(y.Type()).DType), in["targets"], in["weights"])
				},
				Shape: func(y []ir.Dim) ([]ir.Dim, error) {
					if len(y) != 3 {
						return nil, fmt.Errorf("it has %d axes", len(y))
					}
					if _, even := y[0].Div(ir.D(2)); !even {
						return nil, fmt.Errorf("%v rows are no pairs", y[0])
					}
					return y[:1], nil
				}},
		},
		Measures: []Measure{
			{Name: "accuracy", Doc: "the share of pairs whose chosen answer gained more than the rejected one", sum: func(b *op.Builder, l Loss) ir.Value {
				d := margins(b, l)
				return b.Sum(b.Cast(b.Gt(d, b.Scalar(0, d)), d.Type().DType), false)
			}},
			{Name: "margin", Doc: "beta (d - d_ref)", sum: func(b *op.Builder, l Loss) ir.Value { return b.Sum(margins(b, l), false) }},
		},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			d := margins(b, l)
			// -ln sigmoid(d) is softplus(-d), and softplus(d) = softplus(-d) + d
			loss := softplus(b, b.Neg(d))
			if smoothing := l.Attr.(DPOAttr).LabelSmoothing; smoothing > 0 {
				loss = b.Add(loss, b.Mul(d, b.Scalar(smoothing, d)))
			}
			return total(b, loss, Loss{})
		},
	}
}

// margins writes beta (d - d_ref) of each pair.
func margins(b *op.Builder, l Loss) ir.Value {
	gain := b.Sub(SequenceLogProbs(b, l.Y, l.In["targets"], l.In["weights"]), l.In["reference"])
	if b.Err() != nil {
		return gain
	}
	pairs, _ := gain.Type().Shape[0].Div(ir.D(2))
	gain = b.Reshape(gain, pairs, ir.D(2))
	d := b.Reshape(b.Sub(b.Slice(gain, 1, 0, 1), b.Slice(gain, 1, 1, 2)), pairs)
	return b.Mul(d, b.Scalar(l.Attr.(DPOAttr).Beta, d))
}

// SequenceLogProbs writes the log-probability of whole answers: the sum over
// positions of weights times ln softmax(logits)[targets].
//
//	logits [batch, seq, vocab]   targets i32, weights [batch, seq]   result [batch]
//
// Targets must be tokens, also where the weight is 0.
func SequenceLogProbs(b *op.Builder, logits, targets, weights ir.Value) ir.Value {
	if b.Err() != nil {
		return weights
	}
	lastKnown(b, "sequence_log_probs", logits)
	logP := b.Sub(chosen(b, logits, targets), b.LogSumExp(logits, false, -1))
	return b.Sum(b.Mul(logP, weights), false, -1)
}
