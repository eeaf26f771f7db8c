package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// elementwise is a chain of elementwise ops in one pass over memory.
func elementwise() Def {
	return Def{Name: "elementwise", Doc: "y = an expression of elementwise ops over x0, x1, ..., or several of them.", Attr: ElementwiseAttr{}, Sees: seesAlike,
		Ports: expressionPorts(),
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			tokens, y, err := inferExpression(in, attr.(ElementwiseAttr))
			if err != nil {
				return nil, err
			}
			return slices.Repeat([]ir.Type{y}, Results(tokens)), nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			out := b.expression(n)
			for i, y := range out {
				out[i] = b.Cast(y, n.Types[0].DType)
			}
			return out
		},
		Cost:  expressionCost,
		Cases: elementwiseCases(),
	}
}

// elementwiseSum adds up an expression as it is computed.
func elementwiseSum() Def {
	return Def{Name: "elementwise_sum", Doc: "y = the sum of all elements of an expression of elementwise ops over x0, x1, ....", Attr: ElementwiseAttr{},
		Ports: expressionPorts(),
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			tokens, y, err := inferExpression(in, attr.(ElementwiseAttr))
			if err != nil {
				return nil, err
			}
			if n := Results(tokens); n > 1 {
				return nil, fmt.Errorf("the expression has %d results, want one to add up", n)
			}
			return []ir.Type{y.With()}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			return []ir.Value{b.Cast(b.Sum(b.expression(n)[0], false), n.Types[0].DType)}
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			y, err := elementwiseShape(in)
			if err != nil {
				return 0
			}
			t := in[0].With(y...)
			return expressionCost(in, []ir.Type{t}, attr) + int64(t.Elems())
		},
		Cases: sumCases(),
	}
}

func expressionPorts() []Port {
	return []Port{{Name: "xs", Doc: "each of the result's shape, or a suffix of it, or of one element", Variadic: true}}
}

// expression writes the results of n's expression in its whole shape.
func (b *Builder) expression(n *ir.Node) []ir.Value {
	tokens, err := ParseExpr(n.Attr.(ElementwiseAttr).Expr, len(n.In))
	if err != nil {
		b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: err})
		return slices.Repeat(n.In[:1], len(n.Types))
	}
	shape, err := elementwiseShape(ir.TypesOf(n.In))
	if err != nil {
		b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: err})
	}
	out := b.expressed(tokens, n.In)
	for i, y := range out {
		out[i] = b.whole(y, shape)
	}
	return out
}

// expressionCost is one operation for each word that is one and each element.
func expressionCost(in, out []ir.Type, attr any) int64 {
	tokens, err := ParseExpr(attr.(ElementwiseAttr).Expr, len(in))
	if err != nil {
		return 0
	}
	ops := 0
	for _, t := range tokens {
		ops += min(t.Arity, 1)
	}
	return int64(ops) * int64(out[0].Elems())
}

// whole repeats x to a shape unless it has it.
func (b *Builder) whole(x ir.Value, shape []ir.Dim) ir.Value {
	if b.err != nil || slices.Equal(x.Type().Shape, shape) {
		return x
	}
	return b.Broadcast(x, shape...)
}

// inferExpression checks an expression and the types of its inputs, and gives
// the type of its values.
func inferExpression(in []ir.Type, at ElementwiseAttr) (tokens []Token, y ir.Type, err error) {
	if tokens, err = ParseExpr(at.Expr, len(in)); err != nil {
		return nil, y, err
	}
	y = in[0]
	if to := at.DType; to != "" {
		if y.DType, err = ir.ParseDType(to); err != nil {
			return nil, y, err
		}
	}
	if err := first(wantFloat("x0", in[0]), wantFloat("the result", y)); err != nil {
		return nil, y, err
	}
	for _, t := range in {
		if t.DType != in[0].DType && (t.DType == ir.F64 || in[0].DType == ir.F64 || !t.DType.Float()) {
			return nil, y, fmt.Errorf("element types %v and %v differ; cast one", in[0].DType, t.DType)
		}
	}
	shape, err := elementwiseShape(in)
	return tokens, y.With(shape...), err
}

// elementwiseShape is the shape of an expression over inputs.
func elementwiseShape(in []ir.Type) ([]ir.Dim, error) {
	shapes := make([][]ir.Dim, len(in))
	for i, t := range in {
		shapes[i] = t.Shape
	}
	shape, err := broadcast(shapes...)
	if err != nil {
		return nil, err
	}
	for i, t := range in {
		suffix := slices.Equal(t.Shape, shape[len(shape)-t.Rank():])
		if !suffix && t.Len() != ir.D(1) {
			return nil, fmt.Errorf("x%d is %s, neither %s nor its last axes nor one element", i, ir.ShapeString(t.Shape), ir.ShapeString(shape))
		}
	}
	return shape, nil
}

func elementwiseCases() []Case {
	c := func(name, expr string, shapes ...[]int) Case {
		return Case{Name: name, In: f32s(shapes...), Attr: ElementwiseAttr{Expr: expr}, Low: 0.3, High: 2, Tol: 4e-6}
	}
	rounded := c("rounded", "x0 x1 mul bf16 x2 add f16 x0 add", []int{3, 17}, []int{3, 17}, []int{17})
	rounded.In[1], rounded.In[2], rounded.Attr = rounded.In[1].As(ir.BF16), rounded.In[2].As(ir.F16), ElementwiseAttr{Expr: rounded.Attr.(ElementwiseAttr).Expr, DType: "f32"}
	rounded.Tol = 1. / 64
	step := "x0 x6 mul =t0 x1 x4 mul t0 x5 mul add =y0 x2 x4 mul t0 t0 mul x5 mul add =y1 x3 y0 y1 sqrt x6 add div sub =y2"
	weight := func(name string, sizes ...int) Case {
		return c(name, step, sizes, sizes, sizes, sizes, nil, nil, nil)
	}
	update := weight("large step", 1024, 2048)
	update.Large = true
	big := c("large", "x0 sigmoid x0 mul x1 mul", []int{512, 2048}, []int{512, 2048})
	big.Large = true
	return []Case{
		c("", "x0 x1 add", []int{3, 17}, []int{3, 17}),
		c("silu times", "x0 sigmoid x0 mul x1 mul", []int{2, 3, 33}, []int{2, 3, 33}),
		c("suffix", "x0 x1 mul x2 add", []int{2, 3, 17}, []int{17}, []int{3, 17}),
		c("one element", "x0 x1 mul x2 add", []int{5, 7}, []int{}, []int{1, 1}),
		c("first is smaller", "x0 x1 sub", []int{7}, []int{3, 7}),
		c("functions", "x0 exp x0 log x0 sqrt add mul x0 rsqrt x0 erf add div", []int{3, 65}),
		c("more functions", "x0 sin x0 cos mul x0 tanh neg abs x1 pow max x1 sign x1 floor min add", []int{33}, []int{33}),
		rounded,
		c("two results", "x0 x1 mul =y0 y0 x0 add =y1", []int{3, 33}, []int{33}),
		c("old value read late", "x0 x1 add =y0 x0 x1 sub =y1", []int{3, 17}, []int{3, 17}),
		c("results of inputs and numbers", "x1 =y0 x2 x2 mul =y1 x0 =y2 x1 exp =t0 t0 t0 add =y3", []int{2, 3, 17}, []int{17}, []int{}),
		weight("step", 5, 1300), update,
		c("same input", "x0 x0 mul x0 mul", []int{1}),
		big,
	}
}

func sumCases() []Case {
	c := func(name, expr string, shapes ...[]int) Case {
		return Case{Name: name, In: f32s(shapes...), Attr: ElementwiseAttr{Expr: expr}, Low: -1, High: 1, Tol: 1e-6}
	}
	big := c("large", "x0 x1 mul =t0 t0 t0 mul", []int{1024, 2048}, []int{})
	big.Large = true
	narrow := c("narrow", "x0 x0 mul", []int{3, 17})
	narrow.In[0], narrow.Attr = narrow.In[0].As(ir.BF16), ElementwiseAttr{Expr: "x0 x0 mul", DType: "f32"}
	return []Case{
		c("", "x0", []int{3, 17}),
		c("squares", "x0 x1 mul =t0 t0 t0 mul", []int{5, 33}, []int{}),
		c("suffix", "x0 x1 mul", []int{2, 3, 17}, []int{17}),
		c("scalar", "x0 x1 add", []int{}, []int{}),
		c("empty", "x0 x0 mul", []int{0, 3}),
		c("parts", "x0 x0 mul", []int{3, 9001}),
		narrow, big,
	}
}
