package op

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
)

// ResampleAttr is a linear map along one axis, from some elements to others:
// averages of windows, interpolation, or differences.
type ResampleAttr struct {
	Axis           int
	Size           Dims   // elements of the result along the axis
	Rule           string // see resampleRules
	Kernel, Stride int    // of "average"
	Before, After  int    // of "average": elements beyond x that windows may cover
	Count          bool   // of "average": those are counted
	Scale          float64
	AlignCorners   bool
	Antialias      bool
	Order          int  // of "slope": which derivative
	Inside         bool // of "slope": windows lie within x
	Adjoint        bool // the transposed map
}

// AxisTaps lists which elements of x along an axis make each element of the
// result: those of result o are Index[First[o]] to Index[First[o+1]-1], in order, with their weights.
type AxisTaps struct {
	First, Index []int
	Weight       []float64
}

func (t *AxisTaps) add(index int, weight float64) {
	if last := len(t.Index) - 1; last >= t.First[len(t.First)-1] && t.Index[last] == index {
		t.Weight[last] += weight // at a border
		return
	}
	t.Index, t.Weight = append(t.Index, index), append(t.Weight, weight)
}

// adjoint is the transposed map, of n elements of x.
func (t AxisTaps) adjoint(n int) AxisTaps {
	index, weight := make([][]int, n), make([][]float64, n)
	for o := range len(t.First) - 1 {
		for k := t.First[o]; k < t.First[o+1]; k++ {
			i := t.Index[k]
			index[i], weight[i] = append(index[i], o), append(weight[i], t.Weight[k])
		}
	}
	var out AxisTaps
	for i := range n {
		out.First = append(out.First, len(out.Index))
		out.Index, out.Weight = append(out.Index, index[i]...), append(out.Weight, weight[i]...)
	}
	out.First = append(out.First, len(out.Index))
	return out
}

// resampleRules give the taps of element o of out, from in elements.
var resampleRules = map[string]func(a ResampleAttr, t *AxisTaps, o, in, out int){
	"average":       averageTaps,
	"adaptive":      adaptiveTaps,
	"nearest":       nearestTaps,
	"nearest_exact": nearestTaps,
	"linear":        interpolationTaps,
	"cubic":         interpolationTaps,
	"slope":         slopeTaps,

	"emphasis zero": emphasisTaps, "emphasis repeat": emphasisTaps, "emphasis line": emphasisTaps,
}

// Taps lists the taps of the map from in elements to out.
func (a ResampleAttr) Taps(in, out int) AxisTaps {
	if a.Adjoint {
		in, out = out, in
	}
	var t AxisTaps
	rule := resampleRules[a.Rule]
	for o := range out {
		t.First = append(t.First, len(t.Index))
		rule(a, &t, o, in, out)
	}
	t.First = append(t.First, len(t.Index))
	if a.Adjoint {
		return t.adjoint(in)
	}
	return t
}

func averageTaps(a ResampleAttr, t *AxisTaps, o, in, _ int) {
	start := o*a.Stride - a.Before
	end := min(start+a.Kernel, in+a.After)
	lo, hi := max(start, 0), min(end, in)
	n := hi - lo
	if a.Count {
		n = end - start
	}
	for i := lo; i < hi; i++ {
		t.add(i, 1/float64(n))
	}
}

func adaptiveTaps(_ ResampleAttr, t *AxisTaps, o, in, out int) {
	lo, hi := adaptiveWindow(o, in, out)
	for i := lo; i < hi; i++ {
		t.add(i, 1/float64(hi-lo))
	}
}

// adaptiveWindow is the elements under window o of out, which cover in elements.
func adaptiveWindow(o, in, out int) (lo, hi int) { return o * in / out, ((o+1)*in + out - 1) / out }

// step is how far apart, in elements of x, neighbours of the result lie.
func (a ResampleAttr) step(in, out int) float64 {
	switch {
	case a.AlignCorners && out > 1:
		return float64(in-1) / float64(out-1)
	case a.AlignCorners:
		return 0
	case a.Scale > 0:
		return 1 / a.Scale
	}
	return float64(in) / float64(out)
}

// nearestTaps are computed in float32, as in PyTorch, whatever the tensors are.
func nearestTaps(a ResampleAttr, t *AxisTaps, o, in, out int) {
	step, at := float32(a.step(in, out)), float32(o)
	if a.Scale == 0 {
		step = float32(in) / float32(out)
	}
	if a.Rule == "nearest_exact" {
		at += 0.5
	}
	t.add(min(int(math.Floor(float64(at*step))), in-1), 1)
}

func interpolationTaps(a ResampleAttr, t *AxisTaps, o, in, out int) {
	step := a.step(in, out)
	if a.Antialias {
		a.smoothTaps(t, step, o, in)
		return
	}
	at := step * float64(o)
	if !a.AlignCorners {
		at = step*(float64(o)+0.5) - 0.5
	}
	if a.Rule == "linear" {
		at = max(at, 0)
		i := min(int(at), in-1)
		part := at - float64(i)
		if i == in-1 {
			part = 0
		}
		t.add(i, 1-part)
		if i < in-1 {
			t.add(i+1, part)
		}
		return
	}
	whole := math.Floor(at)
	for k := -1; k <= 2; k++ {
		i := min(max(int(whole)+k, 0), in-1)
		t.add(i, cubic(at-whole-float64(k), -0.75))
	}
}

// cubic is the kernel of cubic convolution. Source: Keys, "Cubic convolution interpolation
// for digital image processing", 1981.
func cubic(x, a float64) float64 {
	switch x = math.Abs(x); {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

// smoothTaps widen the kernel where the result has fewer elements than x.
func (a ResampleAttr) smoothTaps(t *AxisTaps, step float64, o, in int) {
	reach, wide := 1.0, max(step, 1)
	if a.Rule == "cubic" {
		reach = 2
	}
	center := step * (float64(o) + 0.5)
	lo := max(int(center-reach*wide+0.5), 0)
	hi := min(int(center+reach*wide+0.5), in)
	var sum float64
	w := make([]float64, max(0, hi-lo))
	for j := range w {
		x := (float64(lo+j) - center + 0.5) / wide
		if w[j] = max(0, 1-math.Abs(x)); a.Rule == "cubic" {
			w[j] = cubic(x, -0.5)
		}
		sum += w[j]
	}
	for j, v := range w {
		t.add(lo+j, v/sum)
	}
}

// resample: x [..., n, ...] -> [..., Size, ...].
func resample() Def {
	return Def{Name: "resample", Doc: "y[..,o,..] = sum over i of w[o,i] x[..,i,..] along an axis, where w follows from a rule: averages of windows, interpolation, or differences.", Attr: ResampleAttr{},
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(ResampleAttr)
			i, err := axis(at.Axis, in[0].Rank())
			if err := first(err, wantFloat("x", in[0]), at.check()); err != nil {
				return nil, err
			}
			size, err := at.Size.Slice()
			if err != nil || len(size) != 1 || size[0].N < 1 || in[0].Shape[i].N < 1 {
				return nil, fmt.Errorf("axis %d of %v becomes [%s]; want a size of at least 1", i, in[0], at.Size)
			}
			return []ir.Type{in[0].With(replaced(in[0].Shape, i, size[0])...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			at := attr.(ResampleAttr)
			i, _ := axis(at.Axis, types[0].Rank())
			outer, n, inner := around(types[0].Sizes(), i)
			size, _ := at.Size.Slice()
			taps := at.Taps(n, size[0].N)
			y := make([]float64, outer*size[0].N*inner)
			for r := range outer {
				for o := range size[0].N {
					for k := taps.First[o]; k < taps.First[o+1]; k++ {
						for e := range inner {
							y[(r*size[0].N+o)*inner+e] += taps.Weight[k] * in[0][(r*n+taps.Index[k])*inner+e]
						}
					}
				}
			}
			return [][]float64{y}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			at, x := n.Attr.(ResampleAttr), n.In[0].Type()
			i, _ := axis(at.Axis, x.Rank())
			at.Adjoint, at.Size = !at.Adjoint, MakeDims(x.Shape[i])
			return []ir.Value{b.one("resample", at, dy[0])}
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			at := attr.(ResampleAttr)
			i, _ := axis(at.Axis, in[0].Rank())
			n, size := in[0].Sizes()[i], out[0].Sizes()[i]
			return 2 * int64(len(at.Taps(n, size).Index)) * int64(out[0].Elems()/max(1, size))
		},
		Cases: resampleCases(),
	}
}

func (a ResampleAttr) check() error {
	if _, ok := resampleRules[a.Rule]; !ok {
		return fmt.Errorf("no rule is called %q", a.Rule)
	}
	if a.Rule == "average" && (a.Kernel < 1 || a.Stride < 1 || a.Before < 0 || a.After < 0) {
		return fmt.Errorf("kernel is %d, stride %d, padding %d and %d; want at least 1 and 0", a.Kernel, a.Stride, a.Before, a.After)
	}
	return nil
}

func resampleCases() []Case {
	c := func(name string, at ResampleAttr, shape ...int) Case {
		return Case{Name: name, In: f32s(shape), Attr: at, Low: -1, High: 1, Tol: 4e-6}
	}
	out := []Case{
		c("average", ResampleAttr{Axis: -1, Size: "4", Rule: "average", Kernel: 3, Stride: 2, Before: 1, After: 1, Count: true}, 2, 3, 8),
		c("average of what is there", ResampleAttr{Axis: 1, Size: "5", Rule: "average", Kernel: 3, Stride: 2, Before: 1, After: 1}, 2, 9, 3),
		c("windows apart", ResampleAttr{Axis: 1, Size: "3", Rule: "average", Kernel: 2, Stride: 4}, 1, 11, 35),
		c("adaptive", ResampleAttr{Axis: 1, Size: "5", Rule: "adaptive"}, 3, 13, 4),
		c("nearest", ResampleAttr{Axis: -1, Size: "17", Rule: "nearest"}, 35, 7),
		c("nearest exact", ResampleAttr{Axis: 0, Size: "3", Rule: "nearest_exact"}, 8, 33),
		c("linear", ResampleAttr{Axis: -1, Size: "37", Rule: "linear"}, 40, 11),
		c("linear by corners", ResampleAttr{Axis: -1, Size: "5", Rule: "linear", AlignCorners: true}, 2, 9),
		c("cubic", ResampleAttr{Axis: -2, Size: "9", Rule: "cubic"}, 2, 6, 5),
		c("cubic smooth", ResampleAttr{Axis: -1, Size: "5", Rule: "cubic", Antialias: true}, 3, 16),
		c("one", ResampleAttr{Axis: -1, Size: "3", Rule: "cubic"}, 2, 1),
		large(c("average of lines", ResampleAttr{Axis: -1, Size: "56", Rule: "average", Kernel: 3, Stride: 2, Before: 1, After: 1}, 64, 112, 112)),
		large(c("linear by two", ResampleAttr{Axis: -1, Size: "256", Rule: "linear"}, 64, 128, 128)),
		large(c("linear across", ResampleAttr{Axis: -2, Size: "256", Rule: "linear"}, 64, 128, 256)),
	}
	for _, i := range []int{0, 1, 2, 3, 6, 8} {
		back := out[i]
		at := back.Attr.(ResampleAttr)
		a, _ := axis(at.Axis, back.In[0].Rank())
		size, _ := at.Size.Slice()
		sizes := back.In[0].Sizes()
		at.Adjoint, at.Size = true, MakeDims(ir.D(sizes[a]))
		sizes[a] = size[0].N
		back.Name, back.Attr, back.In = back.Name+" back", at, f32s(sizes)
		out = append(out, back)
	}
	return out
}
