package op

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pipe.dev/compiler/ir"
)

// Token is one word of an ElementwiseAttr.Expr: an input, or an op applied to
// what was written before it.
type Token struct {
	Op    string // "add", "exp", ...; "" for an input
	Arity int    // operands of Op: 1 or 2
	Input int    // which input, if Op is ""
}

// ElementwiseOps returns the ops that an ElementwiseAttr.Expr may hold, by
// the number of their operands.
func ElementwiseOps(arity int) []string {
	switch arity {
	case 1:
		return []string{"neg", "abs", "exp", "log", "sqrt", "rsqrt", "sin", "cos", "tanh", "sigmoid", "erf", "sign", "floor"}
	case 2:
		return []string{"add", "sub", "mul", "div", "pow", "max", "min"}
	}
	return nil
}

// Rounds reports whether a word of an expression rounds to a type.
func Rounds(word string) bool { return word == "bf16" || word == "f16" }

// ParseExpr reads an ElementwiseAttr.Expr over n inputs: words in reverse
// Polish notation that leave one value. Every input must be used.
func ParseExpr(expr string, n int) ([]Token, error) {
	var out []Token
	used := make([]bool, n)
	depth := 0
	for _, w := range strings.Fields(expr) {
		t := Token{Op: w}
		switch {
		case slices.Contains(ElementwiseOps(1), w), Rounds(w):
			t.Arity = 1
		case slices.Contains(ElementwiseOps(2), w):
			t.Arity = 2
		default:
			i, err := strconv.Atoi(strings.TrimPrefix(w, "x"))
			if err != nil || w[0] != 'x' || i < 0 || i >= n {
				return nil, fmt.Errorf("expression %q: %q is neither an op nor one of %d inputs", expr, w, n)
			}
			t, used[i] = Token{Input: i}, true
		}
		if depth < t.Arity {
			return nil, fmt.Errorf("expression %q: %s has %d operands, want %d", expr, w, depth, t.Arity)
		}
		depth += 1 - t.Arity
		out = append(out, t)
	}
	if depth != 1 {
		return nil, fmt.Errorf("expression %q leaves %d values, want 1", expr, depth)
	}
	if i := slices.Index(used, false); i >= 0 {
		return nil, fmt.Errorf("expression %q does not use x%d", expr, i)
	}
	return out, nil
}

// elementwise is a chain of elementwise ops in one pass over memory.
func elementwise() Def {
	return Def{Name: "elementwise", Doc: "y = an expression of elementwise ops over x0, x1, ...", Attr: ElementwiseAttr{},
		Ports: []Port{{Name: "xs", Doc: "each of the result's shape, or a suffix of it, or of one element", Variadic: true}},
		Infer: elementwiseInfer,
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			tokens, err := ParseExpr(n.Attr.(ElementwiseAttr).Expr, len(n.In))
			if err != nil {
				b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: err})
				return []ir.Value{n.In[0]}
			}
			var stack []ir.Value
			for _, t := range tokens {
				if t.Op == "" {
					stack = append(stack, b.wide(n.In[t.Input]))
					continue
				}
				top := len(stack) - t.Arity
				if Rounds(t.Op) {
					x := stack[top]
					stack[top] = b.Cast(b.one("cast", CastAttr{DType: t.Op}, x), x.Type().DType)
					continue
				}
				stack = append(stack[:top], b.one(t.Op, nil, slices.Clone(stack[top:])...))
			}
			return []ir.Value{b.Cast(b.whole(stack[0], n.Types[0].Shape), n.Types[0].DType)}
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			tokens, err := ParseExpr(attr.(ElementwiseAttr).Expr, len(in))
			if err != nil {
				return 0
			}
			ops := 0
			for _, t := range tokens {
				ops += min(t.Arity, 1)
			}
			return int64(ops) * int64(out[0].Elems())
		},
		Cases: elementwiseCases(),
	}
}

// whole repeats x to a shape unless it has it.
func (b *Builder) whole(x ir.Value, shape []ir.Dim) ir.Value {
	if b.err != nil || slices.Equal(x.Type().Shape, shape) {
		return x
	}
	return b.Broadcast(x, shape...)
}

func elementwiseInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	if _, err := ParseExpr(attr.(ElementwiseAttr).Expr, len(in)); err != nil {
		return nil, err
	}
	y := in[0]
	if to := attr.(ElementwiseAttr).DType; to != "" {
		t, err := ir.ParseDType(to)
		if err != nil {
			return nil, err
		}
		y.DType = t
	}
	if err := first(wantFloat("x0", in[0]), wantFloat("the result", y)); err != nil {
		return nil, err
	}
	for _, t := range in {
		if t.DType != in[0].DType && (t.DType == ir.F64 || in[0].DType == ir.F64 || !t.DType.Float()) {
			return nil, fmt.Errorf("element types %v and %v differ; cast one", in[0].DType, t.DType)
		}
	}
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
	return []ir.Type{y.With(shape...)}, nil
}

func elementwiseCases() []Case {
	c := func(name, expr string, shapes ...[]int) Case {
		return Case{Name: name, In: f32s(shapes...), Attr: ElementwiseAttr{Expr: expr}, Low: 0.3, High: 2, Tol: 4e-6}
	}
	rounded := c("rounded", "x0 x1 mul bf16 x2 add f16 x0 add", []int{3, 17}, []int{3, 17}, []int{17})
	rounded.In[1], rounded.In[2], rounded.Attr = rounded.In[1].As(ir.BF16), rounded.In[2].As(ir.F16), ElementwiseAttr{Expr: rounded.Attr.(ElementwiseAttr).Expr, DType: "f32"}
	rounded.Tol = 1. / 64
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
		c("same input", "x0 x0 mul x0 mul", []int{1}),
		big,
	}
}
