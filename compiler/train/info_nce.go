package train

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// InfoNCEAttr describes contrastive learning.
type InfoNCEAttr struct {
	Temperature float64 `cue:"temperature: number & >0 | *0.07" doc:"similarities are divided by it"`
	Normalize   bool    `cue:"normalize: bool | *true" doc:"compare directions alone: divide rows by their norm"`
	Symmetric   bool    `cue:"symmetric: bool | *true" doc:"also find the output by its key, and take the mean of both"`
}

// infoNCE compares the rows of one micro-batch alone, so accumulation does
// not make them a bigger batch.
func infoNCE() *Objective {
	return &Objective{
		Def: Def{Name: "info_nce", Title: "InfoNCE", Attr: InfoNCEAttr{},
			Doc:    "the mean over rows i of the cross-entropy of finding key i among all keys of the batch by y[i]·key / temperature.",
			Source: "arXiv:1807.03748; symmetric arXiv:2103.00020"},
		Output: "[rows, dim]",
		Inputs: []Input{likeOutput("keys", "row i belongs to row i of the output", "[rows, dim]")},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			at, q, k := l.Attr.(InfoNCEAttr), l.Y, l.In["keys"]
			if !isMatrix(b, "info_nce", q) {
				return q, q
			}
			if at.Normalize {
				q, k = unit(b, q), unit(b, k)
			}
			q = b.Mul(q, b.Scalar(1/at.Temperature, q))
			own := b.Sum(b.Mul(q, k), false, -1)
			all := b.MatMul(q, k, false, true)
			loss := b.Sub(b.LogSumExp(all, false, 1), own)
			if at.Symmetric {
				loss = b.Mul(b.Add(loss, b.Sub(b.LogSumExp(all, false, 0), own)), b.Scalar(0.5, q))
			}
			return total(b, loss, Loss{})
		},
	}
}

func isMatrix(b *op.Builder, name string, y ir.Value) bool {
	if y.Type().Rank() != 2 {
		b.Fail(&op.Error{Pos: b.Pos, Op: name, Err: fmt.Errorf("output is %v; want 2 axes [rows, dim]", y.Type())})
		return false
	}
	return true
}

// unit divides rows by their norm, which counts as at least 1e-12.
func unit(b *op.Builder, x ir.Value) ir.Value {
	norm := b.Sqrt(b.Sum(b.Mul(x, x), true, -1))
	return b.Div(x, b.Max(norm, b.Scalar(1e-12, x)))
}
