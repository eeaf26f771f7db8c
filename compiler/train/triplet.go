package train

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// TripletAttr describes a margin between distances.
type TripletAttr struct {
	Margin float64 `cue:"margin: number & >0 | *1" doc:"how much farther the negative should be"`
	Swap   bool    `cue:"swap: bool | *false" doc:"measure the negative from the positive where that is nearer"`
	Eps    float64 `cue:"eps: number & >=0 | *1e-6" doc:"added to differences, so that a distance of 0 has a gradient"`
}

func triplet() *Objective {
	return &Objective{
		Def: Def{Name: "triplet", Title: "Triplet", Attr: TripletAttr{},
			Doc:    "the mean over rows of max(|y - positive| - |y - negative| + margin, 0), by Euclidean distance.",
			Source: "torch.nn.functional.triplet_margin_loss; arXiv:1503.03832, swap Balntas et al. 2016"},
		Output: "[..., dim]",
		Inputs: []Input{
			likeOutput("positive", "what the output should be near to", "[..., dim]"),
			likeOutput("negative", "what it should be far from", "[..., dim]"),
			perRow(),
		},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			at := l.Attr.(TripletAttr)
			distance := func(x, y ir.Value) ir.Value {
				d := b.Add(b.Sub(x, y), b.Scalar(at.Eps, x))
				return b.Sqrt(b.Sum(b.Mul(d, d), false, -1))
			}
			far := distance(l.Y, l.In["negative"])
			if at.Swap {
				far = b.Min(far, distance(l.In["positive"], l.In["negative"]))
			}
			loss := b.Add(b.Sub(distance(l.Y, l.In["positive"]), far), b.Scalar(at.Margin, l.Y))
			zero := b.Scalar(0, loss)
			return total(b, b.Select(b.Gt(loss, zero), loss, zero), l)
		},
	}
}
