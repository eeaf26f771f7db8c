package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// BatchNormAttr describes a norm over the batch.
type BatchNormAttr struct {
	Eps      float64 `cue:"eps: number & >=0 | *1e-5" doc:"added to the variance"`
	Momentum float64 `cue:"momentum: number & >=0 & <=1 | *0.1" doc:"of training: how much of the batch's mean and variance the running ones take on in a step"`
	Affine   bool    `cue:"affine: bool | *true" doc:"multiply by a weight and add a bias, one for each channel"`
}

func batchNormParams(in []ir.Type, attr any) ([]Param, error) {
	return channelParams(in[0], attr.(BatchNormAttr).Affine,
		Param{Name: "running_mean", Init: "zeros", Statistic: true}, Param{Name: "running_var", Init: "ones", Statistic: true})
}

// statistics are the last two of the inputs, running mean and variance, in f32 or what is wider.
func statistics(b *Builder, n *ir.Node) (mean, variance ir.Value) {
	k := len(n.In)
	return b.wide(n.In[k-2]), b.wide(n.In[k-1])
}

// affine scales and shifts y by channel, in its own type.
func (b *Builder) affine(n *ir.Node, y ir.Value) ir.Value {
	if !n.Attr.(BatchNormAttr).Affine {
		return y
	}
	return b.Add(b.Mul(y, b.perChannel(n.In[1], y)), b.perChannel(n.In[2], y))
}

// towards moves a statistic by a share of its distance from now, [1, channels, 1...].
func (b *Builder) towards(old, now ir.Value, share float64) ir.Value {
	now = b.Cast(b.Reshape(now, old.Type().Shape...), old.Type().DType)
	return b.Add(old, b.Mul(b.Scalar(share, old), b.Sub(now, old)))
}

// batchNorm: x [batch, channels, ...], weight, bias, running_mean and
// running_var [channels] -> as x. Source: arXiv:1502.03167.
func batchNorm() Def {
	return Def{Name: "batch_norm", Title: "BatchNorm", Doc: "y = (x - mean) / sqrt(var + eps) * w + b, by channel, with running_mean and running_var; in training, with those of the batch, of which the running ones take on a share (see docs/training.md).", Attr: BatchNormAttr{}, Cost: normCost, Training: "batch_norm_train", Sees: seesFirst,
		Ports:  []Port{{Name: "x", Doc: "[batch, channels, ...]"}},
		Params: batchNormParams,
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			_, err := channelsOf(in[0], attr.(BatchNormAttr).Eps)
			return in[:1:1], err
		},
		Lower: inWide(func(b *Builder, n *ir.Node, x ir.Value) ir.Value {
			mean, variance := statistics(b, n)
			scale := b.Rsqrt(b.Add(b.Detach(variance), b.Scalar(n.Attr.(BatchNormAttr).Eps, variance)))
			y := b.Mul(b.Sub(x, b.perChannel(b.Detach(mean), x)), b.perChannel(scale, x))
			return b.affine(n, y)
		}),
		Cases: []Case{ // statistics get no gradient: equal ones are not asked for any
			{In: f32s([]int{2, 3, 4, 5}, []int{3}, []int{3}, []int{3}, []int{3}), Attr: BatchNormAttr{Eps: 1e-5, Affine: true}, Low: -2, High: 2, Bounds: map[int][2]float64{3: {0.25, 0.25}, 4: {1.5, 1.5}}, Tol: 1e-5},
			{Name: "plain", In: f32s([]int{3, 5}, []int{5}, []int{5}), Attr: BatchNormAttr{Eps: 1e-5}, Low: -2, High: 2, Bounds: map[int][2]float64{1: {0.25, 0.25}, 2: {1.5, 1.5}}, Tol: 1e-5},
		},
	}
}

// batchNormTrain: x [batch, channels, ...], weight, bias, running_mean and running_var [channels]
// -> y as x, and the next running_mean and running_var.
func batchNormTrain() Def {
	return Def{Name: "batch_norm_train", Doc: "y = (x - mean) / sqrt(var + eps) * w + b, by channel, with mean and variance of the batch; running_mean and running_var move towards them by momentum, the variance as n/(n-1) of it, as that of n samples.", Attr: BatchNormAttr{}, Cost: normCost,
		Outputs: []string{"y", "running_mean", "running_var"},
		Ports:   []Port{{Name: "x", Doc: "[batch, channels, ...]"}},
		Params:  batchNormParams,
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at, k := attr.(BatchNormAttr), len(in)
			if _, err := channelsOf(in[0], at.Eps); err != nil {
				return nil, err
			}
			if at.Momentum < 0 || at.Momentum > 1 {
				return nil, fmt.Errorf("momentum is %v; want a share", at.Momentum)
			}
			return []ir.Type{in[0], in[k-2], in[k-1]}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at, x := n.Attr.(BatchNormAttr), b.wide(n.In[0])
			axes, dims := []int{0}, []ir.Dim{x.Type().Shape[0]}
			for i, d := range x.Type().Shape[2:] {
				axes, dims = append(axes, 2+i), append(dims, d)
			}
			mean := b.Mean(x, true, axes...)
			centred := b.Sub(x, mean)
			variance := b.Mean(b.Mul(centred, centred), true, axes...)
			y := b.affine(n, b.Mul(centred, b.Rsqrt(b.Add(variance, b.Scalar(at.Eps, x)))))
			count, one := b.Count(x, dims...), b.Scalar(1, x)
			samples := b.Mul(variance, b.Div(count, b.Max(b.Sub(count, one), one)))
			oldMean, oldVariance := statistics(b, n)
			k := len(n.In)
			return []ir.Value{
				b.Cast(y, n.Types[0].DType),
				b.Cast(b.towards(oldMean, mean, at.Momentum), n.In[k-2].Type().DType),
				b.Cast(b.towards(oldVariance, samples, at.Momentum), n.In[k-1].Type().DType),
			}
		},
		Cases: []Case{
			{In: f32s([]int{2, 3, 4, 5}, []int{3}, []int{3}, []int{3}, []int{3}), Attr: BatchNormAttr{Eps: 1e-5, Momentum: 0.1, Affine: true}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "plain", In: f32s([]int{7, 5}, []int{5}, []int{5}), Attr: BatchNormAttr{Eps: 1e-3, Momentum: 0.3}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "picture", In: f32s([]int{8, 64, 56, 56}, []int{64}, []int{64}, []int{64}, []int{64}), Attr: BatchNormAttr{Eps: 1e-5, Momentum: 0.1, Affine: true}, Low: -2, High: 2, Tol: 1e-5, Large: true},
		},
	}
}
