package train

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// GaussianKLAttr describes what latents cost.
type GaussianKLAttr struct {
	FreeBits float64 `cue:"free_bits: number & >=0 | *0" doc:"nats of each element that cost nothing: below, its divergence counts as this much and has no gradient"`
}

// gaussianKL: y and log_variance [batch, ...], what an encoder says of latents.
func gaussianKL() *Objective {
	variance := likeOutput("log_variance", "the logarithm of the variance of each element", "[batch, ...]")
	return &Objective{
		Def: Def{Name: "gaussian_kl", Title: "GaussianKL", Attr: GaussianKLAttr{},
			Doc:    "the mean over the rows of a batch of the sum over a row of (y² + exp(v) - 1 - v)/2, where y is the mean and v log_variance: the divergence of a normal distribution from that with mean 0 and variance 1, in nats.",
			Source: "arXiv:1312.6114, appendix B, as DiagonalGaussianDistribution.kl of diffusers; free bits arXiv:1606.04934, of each element"},
		Output: "[batch, ...]",
		Inputs: []Input{variance,
			{Name: "weights", Doc: "how much each row of the batch counts; all count 1 without", DType: ir.F32, Layout: "[batch]", Optional: true, Shape: firstOf}},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			v := l.In["log_variance"]
			kl := b.Sub(b.Add(b.Mul(l.Y, l.Y), b.Exp(v)), b.Add(v, b.Scalar(1, v)))
			kl = b.Mul(kl, b.Scalar(0.5, kl))
			if free := l.Attr.(GaussianKLAttr).FreeBits; free > 0 {
				kl = b.Max(kl, b.Scalar(free, kl))
			}
			var axes []int
			for i := range kl.Type().Shape[1:] {
				axes = append(axes, 1+i)
			}
			if len(axes) > 0 {
				kl = b.Sum(kl, false, axes...)
			}
			return total(b, kl, l)
		},
	}
}

// firstOf is the first axis of the output.
func firstOf(y []ir.Dim) ([]ir.Dim, error) {
	if len(y) == 0 {
		return nil, fmt.Errorf("it has no axes")
	}
	return y[:1], nil
}
