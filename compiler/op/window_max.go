package op

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
)

// WindowMaxAttr is windows along one axis.
type WindowMaxAttr struct {
	Axis                     int
	Size                     Dims // windows
	Kernel, Stride, Dilation int
	Before                   int  // elements before x at which the first window begins
	Adaptive                 bool // windows cover the axis evenly; the others do not matter
	Where                    bool // there is a second result: where along the axis the greatest is
}

// Window gives the elements of n under window o of out: from lo on, hi excluded, step apart.
func (a WindowMaxAttr) Window(o, n, out int) (lo, hi, step int) {
	if a.Adaptive {
		lo, hi = adaptiveWindow(o, n, out)
		return lo, hi, 1
	}
	lo = o*a.Stride - a.Before
	hi = min(lo+(a.Kernel-1)*a.Dilation+1, n)
	if lo < 0 {
		lo += (-lo + a.Dilation - 1) / a.Dilation * a.Dilation
	}
	return lo, hi, a.Dilation
}

// windowMax: x [..., n, ...] -> [..., Size, ...].
func windowMax() Def {
	return Def{Name: "window_max", Doc: "y, where = the greatest of each window along an axis, and where it is: the first among equals; where is there if asked for.", Attr: WindowMaxAttr{},
		Outputs: []string{"y", "where"}, Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(WindowMaxAttr)
			i, err := axis(at.Axis, in[0].Rank())
			if err := first(err, wantFloat("x", in[0])); err != nil {
				return nil, err
			}
			size, err := at.Size.Slice()
			if err != nil || len(size) != 1 || size[0].N < 1 {
				return nil, fmt.Errorf("axis %d becomes [%s]; want one size of at least 1", i, at.Size)
			}
			if n := in[0].Shape[i]; n.Known() && size[0].Known() {
				for o := range size[0].N {
					if !at.Adaptive && (at.Kernel < 1 || at.Stride < 1 || at.Dilation < 1) {
						return nil, fmt.Errorf("kernel is %d, stride %d and dilation %d; want at least 1", at.Kernel, at.Stride, at.Dilation)
					}
					if lo, hi, _ := at.Window(o, n.N, size[0].N); lo >= hi {
						return nil, fmt.Errorf("window %d along axis %d, of %v elements, is empty", o, i, n)
					}
				}
			}
			y := in[0].With(replaced(in[0].Shape, i, size[0])...)
			if at.Where {
				return []ir.Type{y, y.As(ir.I32)}, nil
			}
			return []ir.Type{y}, nil
		},
		ForGrad: func(attr any) any { at := attr.(WindowMaxAttr); at.Where = true; return at },
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			at := attr.(WindowMaxAttr)
			i, _ := axis(at.Axis, types[0].Rank())
			outer, n, inner := around(types[0].Sizes(), i)
			size, _ := at.Size.Slice()
			y, where := make([]float64, outer*size[0].N*inner), make([]float64, outer*size[0].N*inner)
			for k := range y {
				lo, hi, step := at.Window(k/inner%size[0].N, n, size[0].N)
				from := k/inner/size[0].N*n*inner + k%inner
				best := lo
				for j := lo; j < hi; j += step {
					if v := in[0][from+j*inner]; v > in[0][from+best*inner] || math.IsNaN(v) {
						best = j
					}
				}
				y[k], where[k] = in[0][from+best*inner], float64(best)
			}
			if at.Where {
				return [][]float64{y, where}
			}
			return [][]float64{y}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			at, x := n.Attr.(WindowMaxAttr), n.In[0].Type()
			i, _ := axis(at.Axis, x.Rank())
			if !dy[0].Valid() {
				return []ir.Value{{}}
			}
			if err := wantKnown("x", x, i); err != nil {
				b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("gradient: %w", err)})
				return []ir.Value{{}}
			}
			where := ir.Value{Node: n, Out: 1}
			if !at.Where {
				at.Where = true
				where = b.Apply("window_max", at, n.In[0])[1]
			}
			return []ir.Value{b.ScatterAlong(dy[0], where, i, x.Shape[i].N)}
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			return int64(out[0].Elems()) * int64(max(1, attr.(WindowMaxAttr).Kernel))
		},
		Cases: windowMaxCases(),
	}
}

func windowMaxCases() []Case {
	c := func(name string, at WindowMaxAttr, shape ...int) Case {
		return Case{Name: name, In: f32s(shape), Attr: at, Low: -1, High: 1}
	}
	return []Case{
		c("", WindowMaxAttr{Axis: -1, Size: "4", Kernel: 2, Stride: 2, Dilation: 1}, 2, 3, 8),
		c("padded", WindowMaxAttr{Axis: -1, Size: "5", Kernel: 3, Stride: 2, Dilation: 1, Before: 1}, 35, 9),
		c("dilated", WindowMaxAttr{Axis: 1, Size: "7", Kernel: 3, Stride: 1, Dilation: 2, Before: 1, Where: true}, 2, 9, 37),
		c("where", WindowMaxAttr{Axis: -1, Size: "4", Kernel: 3, Stride: 3, Dilation: 1, Before: 1, Where: true}, 34, 10),
		c("adaptive", WindowMaxAttr{Axis: 1, Size: "5", Adaptive: true, Where: true}, 3, 13, 4),
		large(c("lines", WindowMaxAttr{Axis: -1, Size: "56", Kernel: 3, Stride: 2, Dilation: 1, Before: 1}, 64, 112, 112)),
		large(c("across", WindowMaxAttr{Axis: -2, Size: "56", Kernel: 3, Stride: 2, Dilation: 1, Before: 1}, 64, 112, 56)),
	}
}
