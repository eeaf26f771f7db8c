package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// normGradCost is about ten operations for each element.
func normGradCost(in, out []ir.Type, attr any) int64 { return 10 * int64(in[0].Elems()) }

func normGradPorts() []Port {
	return []Port{{Name: "x", Doc: "[..., dim]"}, {Name: "weight", Doc: "[dim]"}, {Name: "dy", Doc: "the gradient of y"}}
}

// rmsNormGrad: x [..., dim], weight [dim], dy as x -> dx as x, dweight [dim].
//
// With r = 1 / sqrt(mean(x²) + eps), z = x r and g = dy w,
//
//	dx = r (g - z mean(g z))   dweight = sum(dy z), over rows
func rmsNormGrad() Def {
	d := Def{Name: "rms_norm_grad", Doc: "dx, dweight = the gradients of rms_norm, given that of its result.", Attr: RMSNormAttr{},
		Outputs: []string{"dx", "dweight"}, Ports: normGradPorts(), Cost: normGradCost,
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			if _, err := normInfer(func(attr any) float64 { return attr.(RMSNormAttr).Eps })(in, attr); err != nil {
				return nil, err
			}
			return in[:2:2], wantNormGrad(in[0], in[1:2], in[2])
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			return b.Inlined(n.In, func(b *Builder, in []ir.Value) []ir.Value {
				y := lowerRMSNorm(b, n.Attr.(RMSNormAttr), in, b.wide(in[0]))
				return b.Grad(y, b.Cast(in[2], y.Type().DType), in[:2]...)
			})
		},
	}
	for _, c := range rmsNorm().Cases {
		d.Cases = append(d.Cases, ofNormGrad(c))
	}
	return d
}

// layerNormGrad: x [..., dim], weight [dim] if affine, dy as x -> dx as x, and
// dweight and dbias [dim] if affine.
//
// With r = 1 / sqrt(var(x) + eps), z = (x - mean(x)) r and g = dy w,
//
//	dx = r (g - mean(g) - z mean(g z))   dweight = sum(dy z)   dbias = sum(dy)
func layerNormGrad() Def {
	ports := normGradPorts()
	ports[1].Optional = true
	d := Def{Name: "layer_norm_grad", Doc: "dx, dweight, dbias = the gradients of layer_norm, given that of its result; dx alone if it is not affine.", Attr: LayerNormAttr{},
		Outputs: []string{"dx", "dweight", "dbias"}, Ports: ports, Cost: normGradCost,
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(LayerNormAttr)
			if _, err := normInfer(func(attr any) float64 { return attr.(LayerNormAttr).Eps })(in, attr); err != nil {
				return nil, err
			}
			if there := in[1].DType != ir.Invalid; there != at.Affine {
				return nil, fmt.Errorf("affine is %v but weight is %v", at.Affine, in[1])
			}
			if !at.Affine {
				return in[:1:1], wantNormGrad(in[0], nil, in[2])
			}
			return []ir.Type{in[0], in[1], in[1]}, wantNormGrad(in[0], in[1:2], in[2])
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(LayerNormAttr)
			return b.Inlined(n.In, func(b *Builder, in []ir.Value) []ir.Value {
				x := b.wide(in[0])
				dy := b.Cast(in[2], x.Type().DType)
				if !at.Affine {
					return b.Grad(lowerLayerNorm(b, at, in, x), dy, in[0])
				}
				zero := b.Fill(0, in[1].Type().DType, in[1].Type().Shape...)
				y := lowerLayerNorm(b, at, []ir.Value{in[0], in[1], zero}, x)
				return b.Grad(y, dy, in[0], in[1], zero)
			})
		},
	}
	for _, c := range layerNorm().Cases {
		d.Cases = append(d.Cases, ofNormGrad(c))
	}
	return d
}

// ofNormGrad makes a case of a norm one of its gradient.
func ofNormGrad(c Case) Case {
	in := []ir.Type{c.In[0], {}, c.In[0]}
	if len(c.In) > 1 {
		in[1] = c.In[1]
	}
	c.In = in
	c.Bounds = map[int][2]float64{1: {-2, 2}, 2: {-2, 2}}
	c.Tol *= 4
	return c
}

func wantNormGrad(x ir.Type, weights []ir.Type, dy ir.Type) error {
	for _, w := range weights {
		if err := first(wantFloat("weight", w), wantRank("weight", w, "[dim]", 1)); err != nil {
			return err
		}
		if w.Shape[0] != lastDim(x) {
			return fmt.Errorf("weight has %v elements, want %v", w.Shape[0], lastDim(x))
		}
	}
	if !dy.Equal(x) {
		return fmt.Errorf("dy is %v, want %v", dy, x)
	}
	return nil
}
