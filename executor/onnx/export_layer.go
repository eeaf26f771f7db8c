package onnx

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Translations of operations that compute with weights, and of functions.

// swapped is a value with its last two axes exchanged.
func (x *exporter) swapped(name string, rank int) string {
	return x.once("swapped "+name, func() string {
		perm := make([]int, rank)
		for i := range perm {
			perm[i] = i
		}
		perm[rank-2], perm[rank-1] = rank-1, rank-2
		return x.add("Transpose", []string{name}, intsSetting("perm", perm...))
	})
}

func exportMatMul(x *exporter, n *ir.Node, in []string) string {
	at := n.Attr.(op.MatMulAttr)
	a, b := in[0], in[1]
	if at.TransA {
		a = x.swapped(a, n.In[0].Type().Rank())
	}
	if at.TransB {
		b = x.swapped(b, n.In[1].Type().Rank())
	}
	return x.cast(x.add("MatMul", []string{a, b}), n.In[0].Type().DType, n.Types[0].DType)
}

// product is x times a weight [out, in], or [in, out].
func (x *exporter) product(n *ir.Node, in []string, weight int, transpose bool) string {
	w := x.cast(in[weight], n.In[weight].Type().DType, n.Types[0].DType)
	if !transpose {
		w = x.swapped(w, 2)
	}
	return x.add("MatMul", []string{in[0], w})
}

func exportLinear(x *exporter, n *ir.Node, in []string) string {
	at := n.Attr.(op.LinearAttr)
	y := x.product(n, in, 1, at.Transpose)
	if at.Bias {
		y = x.add("Add", []string{y, x.cast(in[2], n.In[2].Type().DType, n.Types[0].DType)})
	}
	return x.activated(at.Act, y)
}

func exportGatedLinear(x *exporter, n *ir.Node, in []string) string {
	gate := x.activated(n.Attr.(op.GatedLinearAttr).Act, x.product(n, in, 1, false))
	return x.add("Mul", []string{gate, x.product(n, in, 2, false)})
}

// activated is an activation that an operation ends with; "" is none.
func (x *exporter) activated(fn, y string) string {
	if fn == "" {
		return y
	}
	return x.act(op.DefaultAct(fn), y)
}

func actFits(_ any, in, _ []ir.Type) bool { return in[0].DType == ir.F32 }

// act is fn of y, which is f32.
func (x *exporter) act(at op.ActAttr, y string) string {
	c := func(v float64) string { return x.scalar(v, ir.F32) }
	times := func(a, b string) string { return x.add("Mul", []string{a, b}) }
	of := func(kind string, settings ...setting) string { return x.add(kind, []string{y}, settings...) }
	switch at.Fn {
	case "silu":
		return times(y, of("Sigmoid"))
	case "quick_gelu":
		return times(y, x.add("Sigmoid", []string{times(y, c(1.702))}))
	case "gelu":
		return of("Gelu")
	case "gelu_tanh":
		return of("Gelu", textSetting("approximate", "tanh"))
	case "relu":
		return of("Relu")
	case "relu2":
		r := of("Relu")
		return times(r, r)
	case "leaky_relu":
		return of("LeakyRelu", floatSetting("alpha", at.Slope))
	case "elu":
		return of("Elu", floatSetting("alpha", at.Alpha))
	case "softplus":
		return of("Softplus")
	case "mish":
		return of("Mish")
	case "sigmoid":
		return of("Sigmoid")
	}
	return of("Tanh")
}

func exportLayerNorm(x *exporter, n *ir.Node, in []string) string {
	for i := range in {
		in[i] = x.cast(in[i], n.In[i].Type().DType, ir.F32)
	}
	return x.add("LayerNormalization", in, intSetting("axis", -1), floatSetting("epsilon", n.Attr.(op.LayerNormAttr).Eps))
}

// geometry are the attributes of a convolution.
func geometry(at op.ConvAttr, kernel []int) []setting {
	return []setting{intsSetting("strides", at.Stride.Slice()...), intsSetting("dilations", at.Dilation.Slice()...), intSetting("group", at.Groups),
		intsSetting("kernel_shape", kernel...), intsSetting("pads", slices.Concat(at.Before.Slice(), at.After.Slice())...)}
}

func exportConv(x *exporter, n *ir.Node, in []string) string {
	return x.add("Conv", in, geometry(n.Attr.(op.ConvAttr), n.In[1].Type().Sizes()[2:])...)
}

// added is how many elements ONNX must add after the result of a transposed
// convolution, along each spatial axis, so that it has its size.
func added(at op.ConvAttr, y, w ir.Type) ([]int, bool) {
	size, err := at.Size.Slice()
	if err != nil {
		return nil, false
	}
	stride, before, after, dilation := at.Stride.Slice(), at.Before.Slice(), at.After.Slice(), at.Dilation.Slice()
	out := make([]int, len(size))
	for i, d := range size {
		have := y.Shape[2+i].Mul(ir.D(stride[i]))
		if have.Syms != d.Syms {
			return nil, false
		}
		if !d.Known() && have.N != d.N {
			return nil, false
		}
		rest := 0
		if d.Known() {
			rest = d.N - have.N
		}
		out[i] = rest + stride[i] + before[i] + after[i] - dilation[i]*(w.Sizes()[2+i]-1) - 1
		if out[i] < 0 || out[i] >= max(stride[i], dilation[i]) {
			return nil, false
		}
	}
	return out, true
}

func convTransposeFits(attr any, in, _ []ir.Type) bool {
	_, ok := added(attr.(op.ConvAttr), in[0], in[1])
	return ok
}

func exportConvTranspose(x *exporter, n *ir.Node, in []string) string {
	at := n.Attr.(op.ConvAttr)
	more, _ := added(at, n.In[0].Type(), n.In[1].Type())
	return x.add("ConvTranspose", in, append(geometry(at, n.In[1].Type().Sizes()[2:]), intsSetting("output_padding", more...))...)
}
