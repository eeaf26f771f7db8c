package cpu

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// maxStack is the deepest expression that one pass can hold in tiles.
const maxStack = 16

// word is one step of an expression: an input, or a function of the top of
// the stack.
type word struct {
	input  int
	unary  fn1[float32]
	binary float2
}

// elementwise computes an expression, a tile at a time, on a stack of tiles.
func elementwise(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ElementwiseAttr)
	if !ok || !stored(out[0].DType) {
		return nil, false
	}
	for _, t := range in {
		if !stored(t.DType) {
			return nil, false
		}
	}
	words, err := b.compile(a.Expr, len(in))
	if err != nil {
		return nil, false
	}
	return kernel{inPlace: sameType(in, out), bind: func(a kernels.Args) (kernels.Step, error) {
		return bindElementwise(b, words, a)
	}}, true
}

// compile turns an expression into words.
func (b *Backend) compile(expr string, inputs int) ([]word, error) {
	tokens, err := op.ParseExpr(expr, inputs)
	if err != nil {
		return nil, err
	}
	out := make([]word, len(tokens))
	depth := 0
	for i, t := range tokens {
		var ok bool
		switch t.Arity {
		case 0:
			out[i].input, ok = t.Input, true
		case 1:
			out[i].unary, ok = b.ones[t.Op]
		case 2:
			out[i].binary, ok = b.twos[t.Op]
		}
		if !ok {
			return nil, fmt.Errorf("expression %q: no function %s", expr, t.Op)
		}
		if depth += 1 - t.Arity; depth > maxStack {
			return nil, fmt.Errorf("expression %q holds %d values at once, more than %d", expr, depth, maxStack)
		}
	}
	return out, nil
}

func bindElementwise(b *Backend, words []word, a kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	xs := make([]input[float32], len(a.In))
	for i := range xs {
		xs[i] = newInput[float32](vs[i], a.In[i].Shape, a.Out[0].Shape)
	}
	e := expression{words: words, xs: xs, y: b.resultOf(vs[len(a.In)], vs[:len(a.In)]...)}
	return e.y.tiled(e.tile), nil
}

// expression is bound words.
type expression struct {
	words []word
	xs    []input[float32]
	y     result
}

// cell is a value on the stack: a tile, or one number in x[0].
type cell struct {
	x      []float32
	number bool
}

// tile computes n elements from place i on.
func (e *expression) tile(local []float32, i, n int) {
	var stack [maxStack]cell
	depth := 0
	for k := range e.words {
		w := &e.words[k]
		switch {
		case w.unary != nil:
			top := &stack[depth-1]
			to := e.target(local, depth-1, i, n, k, top.number)
			w.unary(to, top.x)
			top.x = to
		case w.binary.rows != nil:
			depth--
			x, y := &stack[depth-1], &stack[depth]
			to := e.target(local, depth-1, i, n, k, x.number && y.number)
			w.binary.apply(to, x, y, tileBuf[float32](local, maxStack))
			*x = cell{to, x.number && y.number}
		default:
			stack[depth] = e.input(w.input, tileBuf[float32](local, depth), i, n)
			depth++
		}
	}
	to := e.y.room(tileBuf[float32](local, 0), i, n)
	if top := &stack[0]; top.number {
		e.y.rows.Fill(to, top.x[0])
	} else if &to[0] != &top.x[0] {
		copy(to, top.x) // an expression of one input
	}
	e.y.done(to, i)
}

// input is an operand as a tile, or as a number if it has but one element.
func (e *expression) input(k int, buf []float32, i, n int) cell {
	x := &e.xs[k]
	if x.n == 1 {
		buf[0] = x.one(0)
		return cell{buf[:1], true}
	}
	return cell{x.read(buf, i, n), false}
}

// target is where the value at a depth of the stack is computed by word k; the
// last value of all goes to the result.
func (e *expression) target(local []float32, depth, i, n, k int, number bool) []float32 {
	buf := tileBuf[float32](local, depth)
	switch {
	case number:
		return buf[:1]
	case k == len(e.words)-1:
		return e.y.room(buf, i, n)
	}
	return buf[:n]
}

// apply computes a tile of two values of which either may be a number; buf is
// free.
func (f *float2) apply(to []float32, a, b *cell, buf []float32) {
	switch {
	case a.number == b.number:
		f.rows(to, a.x, b.x)
	case b.number && f.number != nil:
		f.number(to, a.x, b.x[0])
	case a.number && f.first != nil:
		f.first(to, b.x, a.x[0])
	case a.number:
		f.rows(to, repeated(buf[:len(to)], a.x[0]), b.x)
	default:
		f.rows(to, a.x, repeated(buf[:len(to)], b.x[0]))
	}
}

func repeated(buf []float32, v float32) []float32 {
	for i := range buf {
		buf[i] = v
	}
	return buf
}

// actOp applies an activation function.
func actOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ActAttr)
	if !ok || a.Fn == "" || len(in) != 1 || !stored(in[0].DType) || in[0].DType != out[0].DType {
		return nil, false
	}
	f, ok := b.actOf(a)
	if !ok {
		return nil, false
	}
	return mapKernel(b, fn1[float32](f), b.streamOf(a.Fn), in, out), true
}
