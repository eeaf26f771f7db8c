package op

import (
	"math"

	"pipe.dev/compiler/ir"
)

func elementwiseDefs() []Def {
	return []Def{neg(), abs(), exp(), log(), sqrt(), rsqrt(), sin(), cos(), tanh(), sigmoid(), erf(), sign(), floor(),
		add(), sub(), mul(), div(), pow(), maximum(), minimum(), selectDef(), castDef()}
}

// gradient1 writes dx of y = f(x), given x, y and dy.
type gradient1 func(b *Builder, x, y, dy ir.Value) ir.Value

// unary completes a Def of one input and an output of the same type.
func unary(d Def, f func(x float64) float64, dx gradient1, low, high float64) Def {
	d.Ports = []Port{{Name: "x", Doc: "the operand"}}
	d.Ref = each(func(x []float64) float64 { return f(x[0]) })
	d.Rows, d.Sees = true, seesAlike
	if d.Infer == nil {
		d.Infer = sameAs(wantFloat)
	}
	if dx == nil {
		d.NoGrad = true
	} else {
		d.Grad = func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return []ir.Value{dx(b, n.In[0], ir.Value{Node: n}, dy[0])}
		}
	}
	d.Cases = []Case{
		{In: []ir.Type{ir.T(ir.F32, 2, 3)}, Low: low, High: high},
		{Name: "odd", In: []ir.Type{ir.T(ir.F32, 3, 17)}, Low: low, High: high},
		{Name: "scalar", In: []ir.Type{ir.T(ir.F32)}, Low: low, High: high},
		{Name: "empty", In: []ir.Type{ir.T(ir.F32, 0, 3)}, Low: low, High: high},
		{Name: "large", In: []ir.Type{ir.T(ir.F32, 512, 2048)}, Low: low, High: high, Large: true},
	}
	return d
}

func neg() Def {
	return unary(Def{Name: "neg", Title: "Neg", Doc: "y = -x.", Infer: sameAs(wantNumber)},
		func(x float64) float64 { return -x },
		func(b *Builder, x, y, dy ir.Value) ir.Value { return b.Neg(dy) }, -2, 2)
}

func abs() Def {
	return unary(Def{Name: "abs", Title: "Abs", Doc: "y = |x|.", Infer: sameAs(wantNumber)},
		math.Abs,
		func(b *Builder, x, y, dy ir.Value) ir.Value { return b.Mul(b.Sign(x), dy) }, 0.1, 2)
}

func exp() Def {
	return unary(Def{Name: "exp", Title: "Exp", Doc: "y = exp(x)."},
		math.Exp,
		func(b *Builder, x, y, dy ir.Value) ir.Value { return b.Mul(y, dy) }, -4, 4)
}

func log() Def {
	return unary(Def{Name: "log", Title: "Log", Doc: "y = ln(x)."},
		math.Log,
		func(b *Builder, x, y, dy ir.Value) ir.Value { return b.Div(dy, x) }, 0.2, 9)
}

func sqrt() Def {
	return unary(Def{Name: "sqrt", Title: "Sqrt", Doc: "y = sqrt(x)."},
		math.Sqrt,
		func(b *Builder, x, y, dy ir.Value) ir.Value {
			return b.Div(b.Mul(b.Scalar(0.5, x), dy), y)
		}, 0.2, 9)
}

func rsqrt() Def {
	return unary(Def{Name: "rsqrt", Title: "Rsqrt", Doc: "y = 1 / sqrt(x)."},
		func(x float64) float64 { return 1 / math.Sqrt(x) },
		func(b *Builder, x, y, dy ir.Value) ir.Value {
			return b.Mul(b.Mul(b.Scalar(-0.5, x), dy), b.Div(y, x))
		}, 0.2, 9)
}

func sin() Def {
	return unary(Def{Name: "sin", Title: "Sin", Doc: "y = sin(x), x in radians."},
		math.Sin,
		func(b *Builder, x, y, dy ir.Value) ir.Value { return b.Mul(b.Cos(x), dy) }, -7, 7)
}

func cos() Def {
	return unary(Def{Name: "cos", Title: "Cos", Doc: "y = cos(x), x in radians."},
		math.Cos,
		func(b *Builder, x, y, dy ir.Value) ir.Value { return b.Neg(b.Mul(b.Sin(x), dy)) }, -7, 7)
}

func tanh() Def {
	return unary(Def{Name: "tanh", Title: "Tanh", Doc: "y = tanh(x)."},
		math.Tanh,
		func(b *Builder, x, y, dy ir.Value) ir.Value {
			return b.Mul(dy, b.Sub(b.Scalar(1, x), b.Mul(y, y)))
		}, -4, 4)
}

func sigmoid() Def {
	return unary(Def{Name: "sigmoid", Title: "Sigmoid", Doc: "y = 1 / (1 + exp(-x))."},
		func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
		func(b *Builder, x, y, dy ir.Value) ir.Value {
			return b.Mul(dy, b.Mul(y, b.Sub(b.Scalar(1, x), y)))
		}, -6, 6)
}

func erf() Def {
	return unary(Def{Name: "erf", Title: "Erf", Doc: "y = erf(x), the error function."},
		math.Erf,
		func(b *Builder, x, y, dy ir.Value) ir.Value {
			slope := b.Mul(b.Scalar(2/math.Sqrt(math.Pi), x), b.Exp(b.Neg(b.Mul(x, x))))
			return b.Mul(dy, slope)
		}, -3, 3)
}

func sign() Def {
	return unary(Def{Name: "sign", Title: "Sign", Doc: "y = -1, 0 or 1, as x is below, equal to or above 0.", Infer: sameAs(wantNumber)},
		func(x float64) float64 { return truth(x > 0) - truth(x < 0) }, nil, -2, 2)
}

func floor() Def {
	return unary(Def{Name: "floor", Title: "Floor", Doc: "y = the greatest whole number up to x."},
		math.Floor, nil, -5, 5)
}

// gradient2 writes da and db of y = f(a, b), before they are summed to the
// shapes of a and b.
type gradient2 func(b *Builder, x, z, y, dy ir.Value) (ir.Value, ir.Value)

// pairwise completes a Def of two inputs that repeat to one shape.
func pairwise(d Def, want func(string, ir.Type) error, f func(a, b float64) float64, grad gradient2, low, high float64) Def {
	d.Sees = seesAlike
	d.Ports = []Port{{Name: "a", Doc: "first operand"}, {Name: "b", Doc: "second operand; shapes are matched by the rules of NumPy"}}
	d.Infer = func(in []ir.Type, _ any) ([]ir.Type, error) {
		if err := first(want("a", in[0]), want("b", in[1]), alike(in...)); err != nil {
			return nil, err
		}
		shape, err := broadcast(in[0].Shape, in[1].Shape)
		if err != nil {
			return nil, err
		}
		return []ir.Type{in[0].With(shape...)}, nil
	}
	d.Ref = each(func(x []float64) float64 { return f(x[0], x[1]) })
	d.Grad = func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
		da, db := grad(b, n.In[0], n.In[1], ir.Value{Node: n}, dy[0])
		return []ir.Value{b.sumTo(da, n.In[0].Type().Shape), b.sumTo(db, n.In[1].Type().Shape)}
	}
	d.Cases = pairCases(low, high)
	return d
}

func pairCases(low, high float64) []Case {
	f := func(a, b []int) []ir.Type { return []ir.Type{ir.T(ir.F32, a...), ir.T(ir.F32, b...)} }
	return []Case{
		{In: f([]int{2, 3}, []int{2, 3}), Low: low, High: high},
		{Name: "odd", In: f([]int{3, 33}, []int{3, 33}), Low: low, High: high},
		{Name: "row", In: f([]int{2, 3, 17}, []int{17}), Low: low, High: high},
		{Name: "column", In: f([]int{5, 1}, []int{5, 7}), Low: low, High: high},
		{Name: "outer", In: f([]int{3, 1, 4}, []int{2, 1}), Low: low, High: high},
		{Name: "scalar", In: f([]int{3, 5}, []int{}), Low: low, High: high},
		{Name: "scalar first", In: f([]int{}, []int{3, 5}), Low: low, High: high},
		{Name: "large", In: f([]int{512, 2048}, []int{512, 2048}), Low: low, High: high, Large: true},
	}
}

// whole adds a case of i32, as positions and masks need it.
func whole(d Def) Def {
	d.Cases = append(d.Cases, Case{Name: "i32", In: []ir.Type{ir.T(ir.I32, 3, 1), ir.T(ir.I32, 17)}, Low: -9, High: 9})
	return d
}

func add() Def {
	return whole(pairwise(Def{Name: "add", Title: "Add", Doc: "y = a + b."}, wantNumber,
		func(a, b float64) float64 { return a + b },
		func(b *Builder, x, z, y, dy ir.Value) (ir.Value, ir.Value) { return dy, dy }, -2, 2))
}

func sub() Def {
	return whole(pairwise(Def{Name: "sub", Title: "Sub", Doc: "y = a - b."}, wantNumber,
		func(a, b float64) float64 { return a - b },
		func(b *Builder, x, z, y, dy ir.Value) (ir.Value, ir.Value) { return dy, b.Neg(dy) }, -2, 2))
}

func mul() Def {
	return whole(pairwise(Def{Name: "mul", Title: "Mul", Doc: "y = a * b."}, wantNumber,
		func(a, b float64) float64 { return a * b },
		func(b *Builder, x, z, y, dy ir.Value) (ir.Value, ir.Value) { return b.Mul(z, dy), b.Mul(x, dy) }, -2, 2))
}

func div() Def {
	return pairwise(Def{Name: "div", Title: "Div", Doc: "y = a / b."}, wantFloat,
		func(a, b float64) float64 { return a / b },
		func(b *Builder, x, z, y, dy ir.Value) (ir.Value, ir.Value) {
			dx := b.Div(dy, z)
			return dx, b.Neg(b.Mul(dx, y))
		}, 0.5, 3)
}

func pow() Def {
	return pairwise(Def{Name: "pow", Title: "Pow", Doc: "y = a to the power b."}, wantFloat,
		math.Pow,
		func(b *Builder, x, z, y, dy ir.Value) (ir.Value, ir.Value) {
			dx := b.Mul(dy, b.Mul(z, b.Pow(x, b.Sub(z, b.Scalar(1, z)))))
			zero := b.Scalar(0, x)
			return dx, b.Select(b.Gt(x, zero), b.Mul(dy, b.Mul(y, b.Log(x))), zero)
		}, 0.5, 2.5)
}

// share gives dy to the operand that wins, half of it to each where they tie.
func share(b *Builder, wins, ties, dy ir.Value) ir.Value {
	t := dy.Type().DType
	part := b.Add(b.Cast(wins, t), b.Mul(b.Scalar(0.5, dy), b.Cast(ties, t)))
	return b.Mul(part, dy)
}

func maximum() Def {
	return whole(pairwise(Def{Name: "max", Title: "Maximum", Doc: "y = the greater of a and b."}, wantNumber,
		math.Max,
		func(b *Builder, x, z, y, dy ir.Value) (ir.Value, ir.Value) {
			ties := b.Eq(x, z)
			return share(b, b.Gt(x, z), ties, dy), share(b, b.Gt(z, x), ties, dy)
		}, -2, 2))
}

func minimum() Def {
	return whole(pairwise(Def{Name: "min", Title: "Minimum", Doc: "y = the lesser of a and b."}, wantNumber,
		math.Min,
		func(b *Builder, x, z, y, dy ir.Value) (ir.Value, ir.Value) {
			ties := b.Eq(x, z)
			return share(b, b.Lt(x, z), ties, dy), share(b, b.Lt(z, x), ties, dy)
		}, -2, 2))
}
