package onnx

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// translation says how an operation is written.
type translation struct {
	// fits, if not nil, says whether a use of the operation can be written;
	// one that can't is lowered.
	fits func(attr any, in, out []ir.Type) bool
	// write adds nodes for n, whose inputs are called in ("" is none), and
	// gives the names of its outputs.
	write func(x *exporter, n *ir.Node, in []string) []string
}

// exports are the operations that have a translation. What is not among them
// is written by its meaning in simpler operations.
var exports = map[string]translation{
	"neg": plain("Neg"), "abs": plain("Abs"), "exp": plain("Exp"), "log": plain("Log"), "sqrt": plain("Sqrt"), "sin": plain("Sin"), "cos": plain("Cos"),
	"tanh": plain("Tanh"), "sigmoid": plain("Sigmoid"), "erf": plain("Erf"), "sign": plain("Sign"), "floor": plain("Floor"),
	"rsqrt": {write: one(func(x *exporter, n *ir.Node, in []string) string {
		return x.add("Reciprocal", []string{x.add("Sqrt", in)})
	})},
	"add": plain("Add"), "sub": plain("Sub"), "mul": plain("Mul"), "div": plain("Div"), "pow": plain("Pow"), "max": plain("Max"), "min": plain("Min"),
	"eq": plain("Equal"), "lt": plain("Less"), "le": plain("LessOrEqual"), "gt": plain("Greater"), "ge": plain("GreaterOrEqual"),
	"ne": {write: one(func(x *exporter, n *ir.Node, in []string) string {
		return x.add("Not", []string{x.add("Equal", in)})
	})},
	"not": plain("Not"), "and": plain("And"), "or": plain("Or"), "select": plain("Where"),
	"cast":     {write: one(exportCast)},
	"detach":   {write: func(x *exporter, n *ir.Node, in []string) []string { return in[:1] }},
	"constant": {write: one(exportConstant)}, "fill": {write: one(exportFill)}, "iota": {write: one(exportIota)},

	"matmul": {write: one(exportMatMul)}, "linear": {write: one(exportLinear)}, "gated_linear": {write: one(exportGatedLinear)},
	"act":     {fits: actFits, write: one(func(x *exporter, n *ir.Node, in []string) string { return x.act(n.Attr.(op.ActAttr), in[0]) })},
	"softmax": {write: one(alongAxis("Softmax"))}, "log_softmax": {write: one(alongAxis("LogSoftmax"))},
	"layer_norm": {fits: func(attr any, in, _ []ir.Type) bool { return attr.(op.LayerNormAttr).Affine && in[0].DType == ir.F32 }, write: one(exportLayerNorm)},
	"rope_table": {write: exportRopeTable},
	"conv":       {write: one(exportConv)}, "conv_transpose": {fits: convTransposeFits, write: one(exportConvTranspose)},
	"unfold": {fits: unfoldFits, write: one(exportUnfold)}, "fold": {fits: foldFits, write: one(exportFold)},
	"expert_choice": {write: one(exportExpertChoice)},
	"resample":      {fits: resampleFits, write: one(exportResample)}, "window_max": {fits: windowMaxFits, write: one(exportWindowMax)},
	"analysis": {fits: fourierFits, write: exportAnalysis}, "synthesis": {fits: fourierFits, write: one(exportSynthesis)},

	"reshape": {write: one(exportReshape)}, "heads": {write: one(exportReshape)}, "merge_heads": {write: one(exportReshape)},
	"transpose": {write: one(exportTranspose)}, "broadcast": {write: one(func(x *exporter, n *ir.Node, in []string) string {
		return x.add("Expand", []string{in[0], x.shape(n.Types[0].Shape)})
	})},
	"slice": {write: one(exportSlice)}, "concat": {write: one(func(x *exporter, n *ir.Node, in []string) string {
		return x.add("Concat", in, intSetting("axis", n.Attr.(op.AxisAttr).Axis))
	})},
	"split": {write: exportSplit}, "pad": {write: one(exportPad)},

	"gather":     {write: one(alongAxis("Gather"))},
	"take_along": {write: one(alongAxis("GatherElements"))}, "scatter_along": {write: one(exportScatterAlong)}, "scatter_add": {write: one(exportScatterAdd)},
	"one_hot": {write: one(exportOneHot)}, "pick": {write: one(exportPick)}, "sort": {write: exportSort}, "topk": {write: exportTopK},

	"reduce_sum": reduction("ReduceSum"), "reduce_max": reduction("ReduceMax"), "reduce_min": reduction("ReduceMin"), "reduce_mean": reduction("ReduceMean"),
	"argmax": {write: one(exportArgMax)}, "cumsum": {write: one(func(x *exporter, n *ir.Node, in []string) string {
		return x.add("CumSum", []string{in[0], x.scalar(float64(axisOf(n.Attr.(op.AxisAttr).Axis, n.In[0].Type())), ir.I64)})
	})},
}

// Supports reports whether a use of an operation has a translation.
func Supports(name string, attr any, in, out []ir.Type) bool {
	row, ok := exports[name]
	return ok && (row.fits == nil || row.fits(attr, in, out))
}

// plain is an operation that ONNX has, with the same operands.
func plain(kind string) translation {
	return translation{write: one(func(x *exporter, _ *ir.Node, in []string) string { return x.add(kind, in) })}
}

// one is a translation of one result.
func one(f func(x *exporter, n *ir.Node, in []string) string) func(*exporter, *ir.Node, []string) []string {
	return func(x *exporter, n *ir.Node, in []string) []string { return []string{f(x, n, in)} }
}

func axisOf(axis int, t ir.Type) int {
	if axis < 0 {
		return axis + t.Rank()
	}
	return axis
}

// alongAxis is an operation with the attribute axis.
func alongAxis(kind string) func(x *exporter, n *ir.Node, in []string) string {
	return func(x *exporter, n *ir.Node, in []string) string {
		return x.add(kind, in, intSetting("axis", n.Attr.(op.AxisAttr).Axis))
	}
}

func reduction(kind string) translation {
	return translation{write: one(func(x *exporter, n *ir.Node, in []string) string {
		at := n.Attr.(op.ReduceAttr)
		keep := 0
		if at.Keep {
			keep = 1
		}
		if axes := at.Axes.Slice(); len(axes) > 0 {
			in = []string{in[0], x.ints(axes...)}
		}
		return x.add(kind, in, intSetting("keepdims", keep))
	})}
}

func exportArgMax(x *exporter, n *ir.Node, in []string) string {
	y := x.add("ArgMax", in, intSetting("axis", n.Attr.(op.AxisAttr).Axis), intSetting("keepdims", 0))
	return x.cast(y, ir.I64, ir.I32)
}

func exportCast(x *exporter, n *ir.Node, in []string) string {
	return x.cast(in[0], n.In[0].Type().DType, n.Types[0].DType)
}

func exportConstant(x *exporter, n *ir.Node, _ []string) string {
	return x.constant(n.Types[0], []byte(n.Attr.(op.ConstantAttr).Data))
}

func exportFill(x *exporter, n *ir.Node, _ []string) string {
	t := n.Types[0]
	one := x.scalar(n.Attr.(op.FillAttr).Value, t.DType)
	if t.Rank() == 0 {
		return one
	}
	return x.add("Expand", []string{one, x.shape(t.Shape)})
}

// exportIota counts along one axis and repeats that along the others.
func exportIota(x *exporter, n *ir.Node, _ []string) string {
	t := n.Types[0]
	i := axisOf(n.Attr.(op.IotaAttr).Axis, t)
	limit := x.add("Squeeze", []string{x.size(t.Shape[i])})
	y := x.add("Range", []string{x.scalar(0, ir.I64), limit, x.scalar(1, ir.I64)})
	y = x.cast(y, ir.I64, t.DType)
	row := make([]ir.Dim, t.Rank())
	alone := true
	for k := range row {
		if row[k] = ir.D(1); k == i {
			row[k] = t.Shape[i]
		} else if t.Shape[k] != ir.D(1) {
			alone = false
		}
	}
	y = x.reshape(y, t.Shape[i:i+1], row)
	if alone {
		return y
	}
	return x.add("Expand", []string{y, x.shape(t.Shape)})
}
