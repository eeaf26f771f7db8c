package op

import (
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

func reduceDefs() []Def {
	return []Def{reduceSum(), reduceMax(), reduceMin(), reduceMean(), variance(), logSumExp(), argmax(), cumsum()}
}

// reduction completes a Def that removes axes, or keeps them with size 1.
func reduction(d Def, want func(string, ir.Type) error) Def {
	d.Attr = ReduceAttr{}
	d.Ports = []Port{{Name: "x", Doc: "the operand"}}
	d.Infer = func(in []ir.Type, attr any) ([]ir.Type, error) {
		if err := want("x", in[0]); err != nil {
			return nil, err
		}
		at := attr.(ReduceAttr)
		gone, err := axes(at.Axes, in[0].Rank())
		if err != nil {
			return nil, err
		}
		kept, _ := keptShape(in[0].Shape, gone)
		if at.Keep {
			return []ir.Type{in[0].With(kept...)}, nil
		}
		var shape []ir.Dim
		for i, n := range in[0].Shape {
			if !slices.Contains(gone, i) {
				shape = append(shape, n)
			}
		}
		return []ir.Type{in[0].With(shape...)}, nil
	}
	d.Cost = func(in, out []ir.Type, attr any) int64 { return int64(in[0].Elems()) }
	c := func(name string, at ReduceAttr, sizes ...int) Case {
		return Case{Name: name, In: f32s(sizes), Attr: at, Low: -2, High: 2, Tol: 1e-5}
	}
	d.Cases = []Case{
		c("", ReduceAttr{Axes: "-1"}, 3, 17),
		c("keep", ReduceAttr{Axes: "-1", Keep: true}, 2, 3, 33),
		c("outer axis", ReduceAttr{Axes: "0"}, 5, 3),
		c("middle axis", ReduceAttr{Axes: "1"}, 2, 7, 3),
		c("two axes", ReduceAttr{Axes: "0,-1", Keep: true}, 3, 4, 5),
		c("all", ReduceAttr{}, 3, 5),
		c("one element", ReduceAttr{Axes: "1"}, 3, 1),
		c("large", ReduceAttr{Axes: "-1"}, 1024, 1024),
		c("large outer", ReduceAttr{Axes: "0"}, 1024, 1024),
	}
	for i := range d.Cases[7:] {
		d.Cases[7+i].Large, d.Cases[7+i].Tol = true, 1e-4
	}
	return d
}

// keptShape gives shape with the axes gone set to 1, and what was there.
func keptShape(shape []ir.Dim, gone []int) (kept, sizes []ir.Dim) {
	kept = slices.Clone(shape)
	for _, i := range gone {
		sizes = append(sizes, shape[i])
		kept[i] = ir.D(1)
	}
	return kept, sizes
}

// fold combines the elements that fall together, in C order.
func fold(start float64, f func(sum, x float64) float64) func([][]float64, []ir.Type, any) [][]float64 {
	return func(in [][]float64, types []ir.Type, attr any) [][]float64 {
		gone, _ := axes(attr.(ReduceAttr).Axes, types[0].Rank())
		kept, _ := keptShape(types[0].Shape, gone)
		y := slices.Repeat([]float64{start}, product(sizesOf(kept)))
		for i, o := range spread(sizesOf(kept), types[0].Sizes()) {
			y[o] = f(y[o], in[0][i])
		}
		return [][]float64{y}
	}
}

// unreduced puts v, laid out as the result of the reduction n, back on its
// reduced axes with size 1.
func (b *Builder) unreduced(n *ir.Node, v ir.Value) (ir.Value, []int) {
	x := n.In[0].Type()
	gone, _ := axes(n.Attr.(ReduceAttr).Axes, x.Rank())
	kept, _ := keptShape(x.Shape, gone)
	return b.Reshape(v, kept...), gone
}

func reduceSum() Def {
	return reduction(Def{Name: "reduce_sum", Title: "Sum", Doc: "y = sum of x over axes.",
		Ref: fold(0, func(sum, x float64) float64 { return sum + x }),
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			g, _ := b.unreduced(n, dy[0])
			return []ir.Value{b.Broadcast(g, n.In[0].Type().Shape...)}
		}}, wantNumber)
}

// extremeGrad shares dy equally among the elements that equal y.
func extremeGrad(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
	x := n.In[0]
	g, gone := b.unreduced(n, dy[0])
	y, _ := b.unreduced(n, ir.Value{Node: n})
	best := b.Cast(b.Eq(x, y), x.Type().DType)
	share := b.Div(g, b.one("reduce_sum", ReduceAttr{Axes: MakeInts(gone...), Keep: true}, best))
	return []ir.Value{b.Mul(best, share)}
}

func reduceMax() Def {
	return reduction(Def{Name: "reduce_max", Title: "ReduceMax", Doc: "y = the greatest x over axes.",
		Ref: fold(math.Inf(-1), math.Max), Grad: extremeGrad}, wantFloat)
}

func reduceMin() Def {
	return reduction(Def{Name: "reduce_min", Title: "ReduceMin", Doc: "y = the least x over axes.",
		Ref: fold(math.Inf(1), math.Min), Grad: extremeGrad}, wantFloat)
}

// inWide lowers n by f in at least f32 and goes back to n's element type.
func inWide(f func(b *Builder, n *ir.Node, x ir.Value) ir.Value) func(*Builder, *ir.Node) []ir.Value {
	return func(b *Builder, n *ir.Node) []ir.Value {
		return []ir.Value{b.Cast(f(b, n, b.wide(n.In[0])), n.Types[0].DType)}
	}
}

// meanOf is the mean of x over gone, which stay with size 1.
func (b *Builder) meanOf(x ir.Value, gone []int) ir.Value {
	_, sizes := keptShape(x.Type().Shape, gone)
	sum := b.one("reduce_sum", ReduceAttr{Axes: MakeInts(gone...), Keep: true}, x)
	if x.Type().Rank() == 0 {
		return sum
	}
	return b.Div(sum, b.Count(x, sizes...))
}

func reduceMean() Def {
	return reduction(Def{Name: "reduce_mean", Title: "Mean", Doc: "y = mean of x over axes.",
		Lower: inWide(func(b *Builder, n *ir.Node, x ir.Value) ir.Value {
			gone, _ := axes(n.Attr.(ReduceAttr).Axes, x.Type().Rank())
			return b.Reshape(b.meanOf(x, gone), n.Types[0].Shape...)
		})}, wantFloat)
}

func variance() Def {
	return reduction(Def{Name: "variance", Title: "Variance", Doc: "y = mean of (x - mean(x))² over axes, the biased variance.",
		Lower: inWide(func(b *Builder, n *ir.Node, x ir.Value) ir.Value {
			gone, _ := axes(n.Attr.(ReduceAttr).Axes, x.Type().Rank())
			d := b.Sub(x, b.meanOf(x, gone))
			return b.Reshape(b.meanOf(b.Mul(d, d), gone), n.Types[0].Shape...)
		})}, wantFloat)
}

// logSumExp subtracts the greatest element first, so that nothing overflows;
// where all are -inf, so is the result.
func logSumExp() Def {
	return reduction(Def{Name: "log_sum_exp", Title: "LogSumExp", Doc: "y = ln(sum of exp(x)) over axes.",
		Lower: inWide(func(b *Builder, n *ir.Node, x ir.Value) ir.Value {
			at := ReduceAttr{Axes: n.Attr.(ReduceAttr).Axes, Keep: true}
			m := b.Max(b.one("reduce_max", at, x), b.Scalar(lowest, x))
			y := b.Add(b.Log(b.one("reduce_sum", at, b.Exp(b.Sub(x, m)))), m)
			return b.Reshape(y, n.Types[0].Shape...)
		}),
		Grad: logSumExpGrad}, wantFloat)
}

// logSumExpGrad: dx = softmax(x) dy, so that no gradient goes through the
// greatest element, where it cancels.
func logSumExpGrad(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
	x := b.wide(n.In[0])
	g, gone := b.unreduced(n, b.wide(dy[0]))
	var share ir.Value
	if len(gone) == 1 {
		share = b.Softmax(x, gone[0])
	} else {
		y, _ := b.unreduced(n, b.wide(ir.Value{Node: n}))
		share = b.Exp(b.Sub(x, y))
	}
	return []ir.Value{b.Cast(b.Mul(share, g), n.In[0].Type().DType)}
}

// lowest stands below all values of interest and is finite in f32.
const lowest = -1e30

func argmax() Def {
	return Def{Name: "argmax", Title: "ArgMax", Doc: "y = i32 index of the greatest x along an axis; the lowest among equals.", Attr: AxisAttr{}, NoGrad: true,
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			i, err := axis(attr.(AxisAttr).Axis, in[0].Rank())
			if err != nil {
				return nil, err
			}
			if in[0].Shape[i] == ir.D(0) {
				return nil, emptyAxis(i)
			}
			return []ir.Type{{DType: ir.I32, Shape: slices.Delete(slices.Clone(in[0].Shape), i, i+1)}}, wantNumber("x", in[0])
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			i, _ := axis(attr.(AxisAttr).Axis, types[0].Rank())
			outer, n, inner := around(types[0].Sizes(), i)
			y := make([]float64, outer*inner)
			for o := range outer {
				for e := range inner {
					best := 0
					for j := range n {
						if in[0][(o*n+j)*inner+e] > in[0][(o*n+best)*inner+e] {
							best = j
						}
					}
					y[o*inner+e] = float64(best)
				}
			}
			return [][]float64{y}
		},
		Cost: func(in, out []ir.Type, attr any) int64 { return int64(in[0].Elems()) },
		Cases: []Case{
			{In: f32s([]int{3, 17}), Attr: AxisAttr{-1}, Low: -2, High: 2},
			{Name: "outer axis", In: f32s([]int{5, 3}), Attr: AxisAttr{0}, Low: -2, High: 2},
			{Name: "ties", In: []ir.Type{ir.T(ir.I32, 5, 33)}, Attr: AxisAttr{-1}, Low: 0, High: 3},
			{Name: "float ties", In: f32s([]int{3, 65}), Attr: AxisAttr{-1}, Low: 1, High: 1},
			{Name: "large", In: f32s([]int{64, 32768}), Attr: AxisAttr{-1}, Low: -2, High: 2, Large: true},
		},
	}
}

func cumsum() Def {
	return Def{Name: "cumsum", Title: "CumSum", Doc: "y[i] = x[0] + ... + x[i] along an axis.", Attr: AxisAttr{},
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: keepsType(wantFloat),
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			i, _ := axis(attr.(AxisAttr).Axis, types[0].Rank())
			outer, n, inner := around(types[0].Sizes(), i)
			y := slices.Clone(in[0])
			for o := range outer {
				for j := 1; j < n; j++ {
					for e := range inner {
						y[(o*n+j)*inner+e] += y[(o*n+j-1)*inner+e]
					}
				}
			}
			return [][]float64{y}
		},
		// dx[i] = dy[i] + ... + dy[n-1] = sum(dy) - cumsum(dy)[i] + dy[i].
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			i := n.Attr.(AxisAttr).Axis
			return []ir.Value{b.Add(b.Sub(b.Sum(dy[0], true, i), b.CumSum(dy[0], i)), dy[0])}
		},
		Cases: []Case{
			{In: f32s([]int{3, 17}), Attr: AxisAttr{-1}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "middle axis", In: f32s([]int{2, 6, 3}), Attr: AxisAttr{1}, Low: -1, High: 1},
			{Name: "one", In: f32s([]int{2, 1}), Attr: AxisAttr{1}, Low: -1, High: 1},
			{Name: "large", In: f32s([]int{256, 4096}), Attr: AxisAttr{-1}, Low: -1, High: 1, Tol: 1e-4, Large: true},
		},
	}
}

// keepsType is the shape rule of ops along one axis that keep x's type.
func keepsType(want func(string, ir.Type) error) func([]ir.Type, any) ([]ir.Type, error) {
	return func(in []ir.Type, attr any) ([]ir.Type, error) {
		if _, err := axis(attr.(AxisAttr).Axis, in[0].Rank()); err != nil {
			return nil, err
		}
		return sameAs(want)(in, attr)
	}
}
