package onnx

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Translations of windows, and of experts that choose.

func unfoldFits(_ any, in, _ []ir.Type) bool {
	return !slices.ContainsFunc(in[0].Shape[2:], func(d ir.Dim) bool { return !d.Known() })
}

// exportUnfold takes, axis by axis, the elements of each window, [kernel, windows]
// in place of the axis, and lays kernels before windows.
func exportUnfold(x *exporter, n *ir.Node, in []string) string {
	t := n.In[0].Type()
	axes := t.Rank() - 2
	w, err := n.Attr.(op.UnfoldAttr).Windows(axes)
	if err != nil {
		x.fail(err)
		return ""
	}
	y := in[0]
	if slices.Max(w.Before) > 0 || slices.Max(w.After) > 0 {
		pads := slices.Concat([]int{0, 0}, w.Before, []int{0, 0}, w.After)
		y = x.add("Pad", []string{y, x.ints(pads...), x.scalar(0, t.DType)})
	}
	perm := []int{0, 1}
	for i := range axes {
		size := t.Shape[2+i].N + w.Before[i] + w.After[i]
		windows := (size-w.Dilation[i]*(w.Kernel[i]-1)-1)/w.Stride[i] + 1
		var at []int
		for k := range w.Kernel[i] {
			for p := range windows {
				at = append(at, p*w.Stride[i]+k*w.Dilation[i])
			}
		}
		table := x.add("Reshape", []string{x.ints(at...), x.ints(w.Kernel[i], windows)})
		y = x.add("Gather", []string{y, table}, intSetting("axis", 2+2*i))
		perm = append(perm, 2+2*i)
	}
	for i := range axes {
		perm = append(perm, 3+2*i)
	}
	if axes > 1 {
		y = x.add("Transpose", []string{y}, intsSetting("perm", perm...))
	}
	return x.reshape(y, nil, n.Types[0].Shape)
}

// foldFits is for what Col2Im is defined for in every implementation.
func foldFits(attr any, in, _ []ir.Type) bool {
	size, err := attr.(op.FoldAttr).Size.Slice()
	return err == nil && in[0].DType == ir.F32 && !slices.ContainsFunc(size, func(d ir.Dim) bool { return !d.Known() })
}

func exportFold(x *exporter, n *ir.Node, in []string) string {
	size := n.Types[0].Shape[2:]
	w, err := n.Attr.(op.FoldAttr).Unfold().Windows(len(size))
	if err != nil {
		x.fail(err)
		return ""
	}
	return x.add("Col2Im", []string{in[0], x.shape(size), x.ints(w.Kernel...)}, intsSetting("strides", w.Stride...),
		intsSetting("dilations", w.Dilation...), intsSetting("pads", slices.Concat(w.Before, w.After)...))
}

// takes is how many tokens an expert chooses, as a list of one int64.
func (x *exporter) takes(at op.ExpertChoiceAttr, seq ir.Dim, experts int) string {
	if seq.Known() {
		return x.ints(at.Takes(seq.N, experts))
	}
	all := x.size(seq)
	most := x.add("Mul", []string{x.cast(all, ir.I64, ir.F64), x.scalar(at.Factor, ir.F64)})
	most = x.add("Ceil", []string{x.add("Div", []string{most, x.scalar(float64(experts), ir.F64)})})
	return x.add("Min", []string{all, x.cast(most, ir.F64, ir.I64)})
}

// exportExpertChoice marks the best tokens of each expert, [batch, experts, seq],
// and puts the experts' numbers where marks are. Of equal scores TopK takes the
// earliest.
func exportExpertChoice(x *exporter, n *ir.Node, in []string) string {
	s := n.In[0].Type().Shape
	experts := s[2].N
	scores := x.swapped(in[0], 3)
	_, chosen := x.best(scores, x.takes(n.Attr.(op.ExpertChoiceAttr), s[1], experts), 1)
	none := x.add("Expand", []string{x.scalar(0, ir.I64), x.shape([]ir.Dim{s[0], s[2], s[1]})})
	ones := x.add("Expand", []string{x.scalar(1, ir.I64), x.add("Shape", []string{chosen})})
	marks := x.cast(x.add("ScatterElements", []string{none, chosen, ones}, intSetting("axis", 2)), ir.I64, ir.Bool)
	numbers := make([]int, experts)
	for e := range numbers {
		numbers[e] = e
	}
	y := x.add("Where", []string{x.add("Transpose", []string{marks}, intsSetting("perm", 0, 2, 1)), x.ints(numbers...), x.ints(-1)})
	return x.cast(y, ir.I64, ir.I32)
}
