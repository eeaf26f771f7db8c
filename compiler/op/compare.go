package op

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
)

func compareDefs() []Def {
	return []Def{
		compare("eq", "Eq", "a = b", func(a, b float64) bool { return a == b }),
		compare("ne", "Ne", "a ≠ b", func(a, b float64) bool { return a != b }),
		compare("lt", "Lt", "a < b", func(a, b float64) bool { return a < b }),
		compare("le", "Le", "a ≤ b", func(a, b float64) bool { return a <= b }),
		compare("gt", "Gt", "a > b", func(a, b float64) bool { return a > b }),
		compare("ge", "Ge", "a ≥ b", func(a, b float64) bool { return a >= b }),
		not(),
		logic("and", "And", "a and b", func(a, b bool) bool { return a && b }),
		logic("or", "Or", "a or b", func(a, b bool) bool { return a || b }),
	}
}

func compare(name, title, formula string, f func(a, b float64) bool) Def {
	cases := pairCases(-2, 2)
	for i := range cases[:3] {
		cases[i].In = []ir.Type{cases[i].In[0].As(ir.I32), cases[i].In[1].As(ir.I32)} // so that some are equal
	}
	cases[2].In = []ir.Type{ir.T(ir.I32, 2, 1, 5, 1), ir.T(ir.I32, 17)}
	return Def{Name: name, Title: title, Doc: "y = whether " + formula + ".", NoGrad: true, Sees: seesAlike,
		Ports: []Port{{Name: "a", Doc: "first operand"}, {Name: "b", Doc: "second operand; shapes are matched by the rules of NumPy"}},
		Infer: func(in []ir.Type, _ any) ([]ir.Type, error) {
			if err := alike(in...); err != nil {
				return nil, err
			}
			shape, err := broadcast(in[0].Shape, in[1].Shape)
			if err != nil {
				return nil, err
			}
			return []ir.Type{{DType: ir.Bool, Shape: shape}}, nil
		},
		Ref:   each(func(x []float64) float64 { return truth(f(x[0], x[1])) }),
		Cases: cases,
	}
}

func not() Def {
	return Def{Name: "not", Title: "Not", Doc: "y = the opposite of x.", NoGrad: true,
		Ports: []Port{{Name: "x", Doc: "bool"}},
		Infer: sameAs(wantBool),
		Ref:   each(func(x []float64) float64 { return truth(x[0] == 0) }),
		Cases: []Case{{In: []ir.Type{ir.T(ir.Bool, 3, 17)}, Low: 0, High: 1}},
	}
}

func logic(name, title, formula string, f func(a, b bool) bool) Def {
	return Def{Name: name, Title: title, Doc: "y = " + formula + ".", NoGrad: true,
		Ports: []Port{{Name: "a", Doc: "bool"}, {Name: "b", Doc: "bool; shapes are matched by the rules of NumPy"}},
		Infer: func(in []ir.Type, _ any) ([]ir.Type, error) {
			if err := first(wantBool("a", in[0]), wantBool("b", in[1])); err != nil {
				return nil, err
			}
			shape, err := broadcast(in[0].Shape, in[1].Shape)
			if err != nil {
				return nil, err
			}
			return []ir.Type{in[0].With(shape...)}, nil
		},
		Ref: each(func(x []float64) float64 { return truth(f(x[0] != 0, x[1] != 0)) }),
		Cases: []Case{
			{In: []ir.Type{ir.T(ir.Bool, 3, 17), ir.T(ir.Bool, 3, 17)}, Low: 0, High: 1},
			{Name: "outer", In: []ir.Type{ir.T(ir.Bool, 2, 1, 5), ir.T(ir.Bool, 3, 1)}, Low: 0, High: 1},
		},
	}
}

func selectDef() Def {
	boolean := ir.T(ir.Bool, 3, 17)
	return Def{Name: "select", Title: "Select", Doc: "y = a where cond holds, else b.", Sees: seesAlike,
		Ports: []Port{{Name: "cond", Doc: "bool"}, {Name: "a", Doc: "values where cond holds"},
			{Name: "b", Doc: "values elsewhere; all three shapes are matched by the rules of NumPy"}},
		Infer: func(in []ir.Type, _ any) ([]ir.Type, error) {
			if err := first(wantBool("cond", in[0]), alike(in[1:]...)); err != nil {
				return nil, err
			}
			shape, err := broadcast(in[0].Shape, in[1].Shape, in[2].Shape)
			if err != nil {
				return nil, err
			}
			return []ir.Type{in[1].With(shape...)}, nil
		},
		Ref: each(func(x []float64) float64 {
			if x[0] != 0 {
				return x[1]
			}
			return x[2]
		}),
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			zero := b.Scalar(0, dy[0])
			da, db := b.Select(n.In[0], dy[0], zero), b.Select(n.In[0], zero, dy[0])
			return []ir.Value{{}, b.sumTo(da, n.In[1].Type().Shape), b.sumTo(db, n.In[2].Type().Shape)}
		},
		Cases: []Case{
			{In: []ir.Type{boolean, ir.T(ir.F32, 3, 17), ir.T(ir.F32, 3, 17)}, Low: -2, High: 2, Bounds: bits(0)},
			{Name: "scalars", In: []ir.Type{boolean, ir.T(ir.F32), ir.T(ir.F32, 17)}, Low: -2, High: 2, Bounds: bits(0)},
			{Name: "mask", In: []ir.Type{ir.T(ir.Bool, 3, 5), ir.T(ir.F32, 2, 2, 3, 5), ir.T(ir.F32)}, Low: -2, High: 2, Bounds: bits(0)},
			{Name: "i32", In: []ir.Type{boolean, ir.T(ir.I32, 3, 17), ir.T(ir.I32)}, Low: -9, High: 9, Bounds: bits(0)},
			{Name: "large", In: []ir.Type{ir.T(ir.Bool, 512, 512), ir.T(ir.F32, 8, 512, 512), ir.T(ir.F32)}, Low: -2, High: 2, Bounds: bits(0), Large: true},
		},
	}
}

// bits bounds the inputs i to 0 and 1.
func bits(i ...int) map[int][2]float64 {
	out := map[int][2]float64{}
	for _, k := range i {
		out[k] = [2]float64{0, 1}
	}
	return out
}

func castDef() Def {
	return Def{Name: "cast", Title: "Cast", Attr: CastAttr{},
		Doc:   "y = x as another element type; to whole numbers towards 0, to bool as x ≠ 0. Values out of range are undefined.",
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Rows:  true,
		Sees:  seesAlike,
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			t, err := ir.ParseDType(attr.(CastAttr).DType)
			if err != nil {
				return nil, err
			}
			return []ir.Type{in[0].As(t)}, nil
		},
		Ref: castRef,
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			if !n.In[0].Type().DType.Float() || !n.Types[0].DType.Float() {
				return []ir.Value{{}}
			}
			return []ir.Value{b.Cast(dy[0], n.In[0].Type().DType)}
		},
		Cost: func(in, out []ir.Type, attr any) int64 { return 0 },
		Cases: []Case{
			{Name: "f32 to bf16", In: []ir.Type{ir.T(ir.F32, 3, 17)}, Attr: CastAttr{"bf16"}, Low: -2, High: 2, Tol: 1. / 256},
			{Name: "f32 to f16", In: []ir.Type{ir.T(ir.F32, 3, 17)}, Attr: CastAttr{"f16"}, Low: -2, High: 2, Tol: 1. / 2048},
			{Name: "bf16 to f32", In: []ir.Type{ir.T(ir.BF16, 3, 17)}, Attr: CastAttr{"f32"}, Low: -2, High: 2},
			{Name: "f16 to f32", In: []ir.Type{ir.T(ir.F16, 3, 17)}, Attr: CastAttr{"f32"}, Low: -2, High: 2},
			{Name: "f32 to i32", In: []ir.Type{ir.T(ir.F32, 3, 17)}, Attr: CastAttr{"i32"}, Low: -9, High: 9},
			{Name: "i32 to f32", In: []ir.Type{ir.T(ir.I32, 3, 17)}, Attr: CastAttr{"f32"}, Low: -9, High: 9},
			{Name: "bool to f32", In: []ir.Type{ir.T(ir.Bool, 3, 17)}, Attr: CastAttr{"f32"}, Low: 0, High: 1},
			{Name: "i32 to bool", In: []ir.Type{ir.T(ir.I32, 3, 17)}, Attr: CastAttr{"bool"}, Low: -1, High: 1},
			{Name: "i64 to i32", In: []ir.Type{ir.T(ir.I64, 3, 17)}, Attr: CastAttr{"i32"}, Low: -99, High: 99},
			{Name: "large", In: []ir.Type{ir.T(ir.F32, 512, 2048)}, Attr: CastAttr{"bf16"}, Low: -2, High: 2, Large: true},
		},
	}
}

// castRef keeps floating-point values as they are: rounding to the type is
// the tolerance's business.
func castRef(in [][]float64, types []ir.Type, attr any) [][]float64 {
	t, err := ir.ParseDType(attr.(CastAttr).DType)
	if err != nil {
		panic(fmt.Sprintf("op: cast to %v", err)) // Infer has checked it
	}
	y := make([]float64, len(in[0]))
	for i, x := range in[0] {
		switch {
		case t == ir.Bool:
			x = truth(x != 0)
		case t.Int():
			x = math.Trunc(x)
		}
		y[i] = x
	}
	return [][]float64{y}
}
