package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// GroupNormAttr describes a norm over groups of channels.
type GroupNormAttr struct {
	Groups int     `cue:"groups!: int & >0" doc:"groups of channels that are normalised together"`
	Eps    float64 `cue:"eps: number & >=0 | *1e-5" doc:"added to the variance"`
	Affine bool    `cue:"affine: bool | *true" doc:"multiply by a weight and add a bias, one for each channel"`
	Act    string  // activation applied to the result, set by fusion; "" is none
}

// InstanceNormAttr describes a norm over each channel.
type InstanceNormAttr struct {
	Eps    float64 `cue:"eps: number & >=0 | *1e-5" doc:"added to the variance"`
	Affine bool    `cue:"affine: bool | *false" doc:"multiply by a weight and add a bias, one for each channel"`
}

// channelsOf is the channels of x [batch, channels, ...].
func channelsOf(x ir.Type, eps float64) (int, error) {
	if eps < 0 {
		return 0, fmt.Errorf("eps is %v; want at least 0", eps)
	}
	if err := first(wantAtLeast("x", x, "[batch, channels, ...]", 2), wantFloat("x", x)); err != nil {
		return 0, err
	}
	return x.Shape[1].N, wantKnown("x", x, 1)
}

func channelParams(x ir.Type, affine bool, more ...Param) ([]Param, error) {
	if x.Rank() < 2 {
		return nil, wantAtLeast("x", x, "[batch, channels, ...]", 2)
	}
	var out []Param
	if affine {
		out = []Param{{Name: "weight", Init: "ones"}, {Name: "bias", Init: "zeros"}}
	}
	out = append(out, more...)
	for i := range out {
		out[i].Shape = []ir.Dim{x.Shape[1]}
	}
	return out, nil
}

// perChannel views a weight [channels] beside x, in x's type.
func (b *Builder) perChannel(w, x ir.Value) ir.Value {
	if b.err != nil {
		return w // x may have no shape
	}
	shape := []ir.Dim{x.Type().Shape[1]}
	for range x.Type().Shape[2:] {
		shape = append(shape, ir.D(1))
	}
	return b.Cast(b.Reshape(w, shape...), x.Type().DType)
}

// groupNorm: x [batch, channels, ...], weight and bias [channels] -> as x.
// Source: arXiv:1803.08494.
func groupNorm() Def {
	return Def{Name: "group_norm", Title: "GroupNorm", Doc: "y = (x - mean) / sqrt(var + eps) * w + b, with mean and variance over groups of channels and all that follows.", Attr: GroupNormAttr{}, Cost: normCost,
		Ports: []Port{{Name: "x", Doc: "[batch, channels, ...]"}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			return channelParams(in[0], attr.(GroupNormAttr).Affine)
		},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(GroupNormAttr)
			n, err := channelsOf(in[0], at.Eps)
			if err != nil {
				return nil, err
			}
			if at.Groups < 1 || n%at.Groups != 0 {
				return nil, fmt.Errorf("groups is %d, which does not divide the %d channels of x", at.Groups, n)
			}
			return in[:1:1], nil
		},
		Lower: inWide(func(b *Builder, n *ir.Node, x ir.Value) ir.Value {
			y := lowerGroupNorm(b, n.Attr.(GroupNormAttr), n.In, x)
			if fn := n.Attr.(GroupNormAttr).Act; fn != "" {
				y = b.activation(DefaultAct(fn), y)
			}
			return y
		}),
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			var weight ir.Value
			at, g := n.Attr.(GroupNormAttr), dy[0]
			if at.Affine {
				weight = n.In[1]
			}
			if fn := at.Act; fn != "" {
				at.Act = ""
				g = b.one("act_grad", DefaultAct(fn), b.one("group_norm", at, n.In...), g)
			}
			return b.Apply("group_norm_grad", at, n.In[0], weight, g)
		},
		Cases: []Case{
			{In: f32s([]int{2, 6, 3, 5}, []int{6}, []int{6}), Attr: GroupNormAttr{Groups: 3, Eps: 1e-5, Affine: true}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "plain", In: f32s([]int{3, 4, 37}), Attr: GroupNormAttr{Groups: 2, Eps: 1e-5}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "one group", In: f32s([]int{2, 5}, []int{5}, []int{5}), Attr: GroupNormAttr{Groups: 1, Eps: 1e-5, Affine: true}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "long", In: f32s([]int{1, 4, 1500}, []int{4}, []int{4}), Attr: GroupNormAttr{Groups: 2, Eps: 1e-6, Affine: true}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "silu", In: f32s([]int{2, 6, 3, 4}, []int{6}, []int{6}), Attr: GroupNormAttr{Groups: 3, Eps: 1e-5, Affine: true, Act: "silu"}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "odd silu", In: f32s([]int{1, 4, 5}), Attr: GroupNormAttr{Groups: 2, Eps: 1e-5, Act: "silu"}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "picture", In: f32s([]int{1, 320, 64, 64}, []int{320}, []int{320}), Attr: GroupNormAttr{Groups: 32, Eps: 1e-5, Affine: true}, Low: -2, High: 2, Tol: 1e-5, Large: true},
		},
	}
}

// lowerGroupNorm writes the norm of x, which is in[0] or wider.
func lowerGroupNorm(b *Builder, at GroupNormAttr, in []ir.Value, x ir.Value) ir.Value {
	shape := x.Type().Shape
	row := ir.D(shape[1].N / max(1, at.Groups))
	for _, d := range shape[2:] {
		row = row.Mul(d)
	}
	y := b.Reshape(b.one("layer_norm", LayerNormAttr{Eps: at.Eps}, b.Reshape(x, shape[0], ir.D(at.Groups), row)), shape...)
	if at.Affine {
		y = b.Add(b.Mul(y, b.perChannel(in[1], y)), b.perChannel(in[2], y))
	}
	return y
}

// groupNormGrad: x [batch, channels, ...], weight [channels] if affine, dy as x
// -> dx as x, and dweight and dbias [channels] if affine. Each group is a row of
// layerNormGrad, with sums by channel.
func groupNormGrad() Def {
	ports := normGradPorts()
	ports[0].Doc, ports[1].Doc, ports[1].Optional = "[batch, channels, ...]", "[channels]", true
	d := Def{Name: "group_norm_grad", Doc: "dx, dweight, dbias = the gradients of group_norm, given that of its result; dx alone if it is not affine.", Attr: GroupNormAttr{},
		Outputs: []string{"dx", "dweight", "dbias"}, Ports: ports, Cost: normGradCost,
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(GroupNormAttr)
			n, err := channelsOf(in[0], at.Eps)
			switch {
			case err != nil:
				return nil, err
			case at.Groups < 1 || n%at.Groups != 0:
				return nil, fmt.Errorf("groups is %d, which does not divide the %d channels of x", at.Groups, n)
			case in[1].DType != ir.Invalid != at.Affine:
				return nil, fmt.Errorf("affine is %v but weight is %v", at.Affine, in[1])
			case !in[2].Equal(in[0]):
				return nil, fmt.Errorf("dy is %v, want %v", in[2], in[0])
			case !at.Affine:
				return in[:1:1], nil
			}
			if err := first(wantFloat("weight", in[1]), wantRank("weight", in[1], "[channels]", 1)); err != nil {
				return nil, err
			}
			if in[1].Shape[0] != in[0].Shape[1] {
				return nil, fmt.Errorf("weight has %v elements, want %v", in[1].Shape[0], in[0].Shape[1])
			}
			return []ir.Type{in[0], in[1], in[1]}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(GroupNormAttr)
			return b.Inlined(n.In, func(b *Builder, in []ir.Value) []ir.Value {
				x := b.wide(in[0])
				dy := b.Cast(in[2], x.Type().DType)
				if !at.Affine {
					return b.Grad(lowerGroupNorm(b, at, in, x), dy, in[0])
				}
				zero := b.Fill(0, in[1].Type().DType, in[1].Type().Shape...)
				return b.Grad(lowerGroupNorm(b, at, []ir.Value{in[0], in[1], zero}, x), dy, in[0], in[1], zero)
			})
		},
	}
	for _, c := range groupNorm().Cases {
		if c.Attr.(GroupNormAttr).Act == "" {
			d.Cases = append(d.Cases, ofNormGrad(c))
		}
	}
	return d
}

// instanceNorm: x [batch, channels, ...], weight and bias [channels] -> as x.
// Source: arXiv:1607.08022.
func instanceNorm() Def {
	return Def{Name: "instance_norm", Title: "InstanceNorm", Doc: "y = (x - mean) / sqrt(var + eps) * w + b, with mean and variance over all that follows batch and channels.", Attr: InstanceNormAttr{}, Cost: normCost,
		Ports: []Port{{Name: "x", Doc: "[batch, channels, ...]"}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			return channelParams(in[0], attr.(InstanceNormAttr).Affine)
		},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			_, err := channelsOf(in[0], attr.(InstanceNormAttr).Eps)
			return in[:1:1], err
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(InstanceNormAttr)
			return b.Apply("group_norm", GroupNormAttr{Groups: n.In[0].Type().Shape[1].N, Eps: at.Eps, Affine: at.Affine}, n.In...)
		},
		Cases: []Case{
			{In: f32s([]int{2, 3, 4, 5}), Attr: InstanceNormAttr{Eps: 1e-5}, Low: -2, High: 2, Tol: 1e-5},
			{Name: "affine", In: f32s([]int{2, 3, 17}, []int{3}, []int{3}), Attr: InstanceNormAttr{Eps: 1e-5, Affine: true}, Low: -2, High: 2, Tol: 1e-5},
		},
	}
}
