package onnx

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Translations of operations that move elements.

func exportReshape(x *exporter, n *ir.Node, in []string) string {
	return x.reshape(in[0], n.In[0].Type().Shape, n.Types[0].Shape)
}

func exportTranspose(x *exporter, n *ir.Node, in []string) string {
	perm := n.Attr.(op.TransposeAttr).Perm.Slice()
	for i, p := range perm {
		perm[i] = axisOf(p, n.In[0].Type())
	}
	return x.add("Transpose", in, intsSetting("perm", perm...))
}

func exportSlice(x *exporter, n *ir.Node, in []string) string {
	at := n.Attr.(op.SliceAttr)
	return x.add("Slice", []string{in[0], x.ints(at.Start), x.ints(at.Stop), x.ints(at.Axis), x.ints(at.Step)})
}

func exportSplit(x *exporter, n *ir.Node, in []string) []string {
	at := n.Attr.(op.SplitAttr)
	outs := make([]string, len(n.Types))
	for i := range outs {
		outs[i] = x.unique(x.path + "/Split")
	}
	x.emit("Split", []string{in[0], x.ints(at.Sizes.Slice()...)}, outs, intSetting("axis", at.Axis))
	return outs
}

func exportPad(x *exporter, n *ir.Node, in []string) string {
	at := n.Attr.(op.PadAttr)
	pads := slices.Concat(at.Before.Slice(), at.After.Slice())
	return x.add("Pad", []string{in[0], x.ints(pads...), x.scalar(at.Value, n.Types[0].DType)})
}

// exportPick takes row index[b] of x[b].
func exportPick(x *exporter, n *ir.Node, in []string) string {
	at := x.add("Unsqueeze", []string{x.cast(in[1], n.In[1].Type().DType, ir.I64), x.ints(1)})
	rows := x.add("GatherND", []string{in[0], at}, intSetting("batch_dims", 1))
	return x.add("Unsqueeze", []string{rows, x.ints(1)})
}

// exportOneHot compares ids with all classes, so that one out of range gives
// zeros: ONNX's own OneHot counts negative ones from the end.
func exportOneHot(x *exporter, n *ir.Node, in []string) string {
	t := n.In[0].Type()
	ids := x.add("Unsqueeze", []string{x.cast(in[0], t.DType, ir.I64), x.ints(-1)})
	classes := make([]int, n.Attr.(op.OneHotAttr).Classes)
	for i := range classes {
		classes[i] = i
	}
	return x.cast(x.add("Equal", []string{ids, x.ints(classes...)}), ir.Bool, ir.F32)
}

func exportSort(x *exporter, n *ir.Node, in []string) []string {
	t := n.In[0].Type()
	largest := 0
	if n.Attr.(op.SortAttr).Descending {
		largest = 1
	}
	return x.ranked(in[0], x.size(t.Shape[t.Rank()-1]), largest)
}

func exportTopK(x *exporter, n *ir.Node, in []string) []string {
	return x.ranked(in[0], x.ints(n.Attr.(op.TopKAttr).K), 1)
}

func (x *exporter) ranked(name, k string, largest int) []string {
	values, places := x.best(name, k, largest)
	return []string{values, x.cast(places, ir.I64, ir.I32)}
}

// best are the k largest or smallest along the last axis, in order, and their
// places as int64.
func (x *exporter) best(name, k string, largest int) (values, places string) {
	values, places = x.unique(x.path+"/TopK"), x.unique(x.path+"/TopK/indices")
	x.emit("TopK", []string{name, k}, []string{values, places}, intSetting("axis", -1), intSetting("largest", largest), intSetting("sorted", 1))
	return values, places
}

// exportScatterAlong adds elements to zeros.
func exportScatterAlong(x *exporter, n *ir.Node, in []string) string {
	t := n.Types[0]
	zeros := x.add("Expand", []string{x.scalar(0, t.DType), x.shape(t.Shape)})
	return x.add("ScatterElements", []string{zeros, in[1], in[0]}, intSetting("axis", axisOf(n.Attr.(op.ScatterAttr).Axis, t)), textSetting("reduction", "add"))
}

// exportScatterAdd adds slices to zeros: y [outer..., indices..., inner...]
// becomes [outer..., m, inner...], and the places of its slices are repeated to
// those of their elements.
func exportScatterAdd(x *exporter, n *ir.Node, in []string) string {
	t, y, places := n.Types[0], n.In[0].Type(), n.In[1].Type()
	i := axisOf(n.Attr.(op.ScatterAttr).Axis, t)
	flat := slices.Concat(t.Shape[:i], []ir.Dim{places.Len()}, t.Shape[i+1:])
	row := make([]ir.Dim, t.Rank())
	for k := range row {
		row[k] = ir.D(1)
	}
	row[i] = places.Len()
	at := x.add("Expand", []string{x.reshape(in[1], places.Shape, row), x.shape(flat)})
	zeros := x.add("Expand", []string{x.scalar(0, t.DType), x.shape(t.Shape)})
	return x.add("ScatterElements", []string{zeros, at, x.reshape(in[0], y.Shape, flat)}, intSetting("axis", i), textSetting("reduction", "add"))
}
