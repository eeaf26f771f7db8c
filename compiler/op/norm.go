package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// normCost is about four operations for each element.
func normCost(in, out []ir.Type, attr any) int64 { return 4 * int64(in[0].Elems()) }

func normInfer(eps func(attr any) float64) func([]ir.Type, any) ([]ir.Type, error) {
	return func(in []ir.Type, attr any) ([]ir.Type, error) {
		if e := eps(attr); e < 0 {
			return nil, fmt.Errorf("eps is %v; want at least 0", e)
		}
		if _, err := features(in[0]); err != nil {
			return nil, err
		}
		return in[:1:1], nil
	}
}

// rmsNorm: x [..., dim], weight [dim] -> [..., dim].
// Source: arXiv:1910.07467.
func rmsNorm() Def {
	f := func(sizes ...int) []ir.Type {
		return []ir.Type{ir.T(ir.F32, sizes...), ir.T(ir.F32, sizes[len(sizes)-1])}
	}
	return Def{Name: "rms_norm", Title: "RMSNorm", Doc: "y = x / sqrt(mean(x²) + eps) * w.", Attr: RMSNormAttr{}, Rows: true, Cost: normCost,
		Ports: []Port{{Name: "x", Doc: "[..., dim]"}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			dim, err := features(in[0])
			if err != nil {
				return nil, err
			}
			fill := "ones"
			if attr.(RMSNormAttr).PlusOne {
				fill = "zeros"
			}
			return []Param{{Name: "weight", Shape: []ir.Dim{dim}, Init: fill}}, nil
		},
		Infer: normInfer(func(attr any) float64 { return attr.(RMSNormAttr).Eps }),
		Lower: inWide(func(b *Builder, n *ir.Node, x ir.Value) ir.Value {
			return lowerRMSNorm(b, n.Attr.(RMSNormAttr), n.In, x)
		}),
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return b.Apply("rms_norm_grad", n.Attr, n.In[0], n.In[1], dy[0])
		},
		Cases: []Case{
			{In: f(2, 3), Attr: RMSNormAttr{Eps: 1e-6}, Low: -2, High: 2, Tol: 4e-6},
			{Name: "odd", In: f(2, 3, 33), Attr: RMSNormAttr{Eps: 1e-5}, Low: -2, High: 2, Tol: 4e-6},
			{Name: "plus one", In: f(5, 17), Attr: RMSNormAttr{Eps: 1e-6, PlusOne: true}, Low: -2, High: 2, Tol: 4e-6},
			{Name: "small", In: f(3, 16), Attr: RMSNormAttr{Eps: 1e-5}, Low: -2e-3, High: 2e-3, Tol: 4e-6},
			{Name: "heads", In: f(1, 2, 3, 8), Attr: RMSNormAttr{Eps: 1e-6}, Low: -2, High: 2, Tol: 4e-6},
			{Name: "one element", In: f(3, 1), Attr: RMSNormAttr{Eps: 1e-6}, Low: 1, High: 2, Tol: 4e-6},
			{Name: "narrow", In: []ir.Type{ir.T(ir.BF16, 70, 130), ir.T(ir.F32, 130)}, Attr: RMSNormAttr{Eps: 1e-6}, Low: -2, High: 2, Tol: 4e-6},
			{Name: "large", In: f(512, 2048), Attr: RMSNormAttr{Eps: 1e-6}, Low: -2, High: 2, Tol: 4e-6, Large: true},
			{Name: "large 64 MiB", In: f(8192, 2048), Attr: RMSNormAttr{Eps: 1e-6}, Low: -2, High: 2, Tol: 4e-6, Large: true},
		},
	}
}

// lowerRMSNorm writes the norm of x, which is in[0] or wider.
func lowerRMSNorm(b *Builder, at RMSNormAttr, in []ir.Value, x ir.Value) ir.Value {
	w := b.Cast(in[1], x.Type().DType)
	if at.PlusOne {
		w = b.Add(w, b.Scalar(1, w))
	}
	scale := b.Rsqrt(b.Add(b.Mean(b.Mul(x, x), true, -1), b.Scalar(at.Eps, x)))
	return b.Mul(b.Mul(x, scale), w)
}

// layerNorm: x [..., dim], weight [dim], bias [dim] -> [..., dim].
// Source: arXiv:1607.06450.
func layerNorm() Def {
	f := func(affine bool, sizes ...int) []ir.Type {
		dim := ir.T(ir.F32, sizes[len(sizes)-1])
		if affine {
			return []ir.Type{ir.T(ir.F32, sizes...), dim, dim}
		}
		return []ir.Type{ir.T(ir.F32, sizes...)}
	}
	return Def{Name: "layer_norm", Title: "LayerNorm", Doc: "y = (x - mean(x)) / sqrt(var(x) + eps) * w + b.", Attr: LayerNormAttr{}, Rows: true, Cost: normCost,
		Ports: []Port{{Name: "x", Doc: "[..., dim]"}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			dim, err := features(in[0])
			if err != nil || !attr.(LayerNormAttr).Affine {
				return nil, err
			}
			return []Param{{Name: "weight", Shape: []ir.Dim{dim}, Init: "ones"}, {Name: "bias", Shape: []ir.Dim{dim}, Init: "zeros"}}, nil
		},
		Infer: normInfer(func(attr any) float64 { return attr.(LayerNormAttr).Eps }),
		Lower: inWide(func(b *Builder, n *ir.Node, x ir.Value) ir.Value {
			return lowerLayerNorm(b, n.Attr.(LayerNormAttr), n.In, x)
		}),
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			var weight ir.Value
			if n.Attr.(LayerNormAttr).Affine {
				weight = n.In[1]
			}
			return b.Apply("layer_norm_grad", n.Attr, n.In[0], weight, dy[0])
		},
		Cases: []Case{
			{In: f(true, 2, 3), Attr: LayerNormAttr{1e-5, true}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "odd", In: f(true, 2, 3, 33), Attr: LayerNormAttr{1e-5, true}, Low: -2, High: 2, Tol: 4e-6},
			{Name: "plain", In: f(false, 5, 17), Attr: LayerNormAttr{1e-5, false}, Low: -2, High: 2, Tol: 4e-6},
			{Name: "many rows", In: f(true, 300, 40), Attr: LayerNormAttr{1e-5, true}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "long rows", In: f(true, 3, 1500), Attr: LayerNormAttr{1e-5, true}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "large mean", In: f(true, 3, 16), Attr: LayerNormAttr{1e-5, true}, Low: 19, High: 21, Tol: 1e-4},
			{Name: "large", In: f(true, 512, 2048), Attr: LayerNormAttr{1e-5, true}, Low: -2, High: 2, Tol: 1e-5, Large: true},
			{Name: "large 64 MiB", In: f(true, 8192, 2048), Attr: LayerNormAttr{1e-5, true}, Low: -2, High: 2, Tol: 1e-5, Large: true},
		},
	}
}

// lowerLayerNorm writes the norm of x, which is in[0] or wider.
func lowerLayerNorm(b *Builder, at LayerNormAttr, in []ir.Value, x ir.Value) ir.Value {
	d := b.Sub(x, b.Mean(x, true, -1))
	y := b.Mul(d, b.Rsqrt(b.Add(b.Mean(b.Mul(d, d), true, -1), b.Scalar(at.Eps, x))))
	if !at.Affine {
		return y
	}
	t := x.Type().DType
	return b.Add(b.Mul(y, b.Cast(in[1], t)), b.Cast(in[2], t))
}
