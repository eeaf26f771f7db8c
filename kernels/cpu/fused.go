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
	binary fn2[float32]
}

// elementwise computes an expression, a tile at a time, on a stack of tiles.
func elementwise(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ElementwiseAttr)
	if !ok || !stored(out[0].DType) {
		return nil, false
	}
	for _, t := range in {
		if t.DType != out[0].DType {
			return nil, false
		}
	}
	words, err := compile(a.Expr, len(in))
	if err != nil {
		return nil, false
	}
	return kernel{inPlace: sameType(in, out), bind: func(a kernels.Args) (kernels.Step, error) {
		return bindElementwise(b, words, a)
	}}, true
}

// compile turns an expression into words.
func compile(expr string, inputs int) ([]word, error) {
	tokens, err := op.ParseExpr(expr, inputs)
	if err != nil {
		return nil, err
	}
	ones, twos := unaryTable(), binaryTable()
	out := make([]word, len(tokens))
	depth := 0
	for i, t := range tokens {
		var ok bool
		switch t.Arity {
		case 0:
			out[i].input, ok = t.Input, true
		case 1:
			out[i].unary, ok = ones[t.Op]
		case 2:
			out[i].binary, ok = twos[t.Op]
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
	y := output[float32]{vs[len(a.In)]}
	return b.tiled(y.n, func(local []float32, i, n int) {
		var stack [maxStack][]float32
		depth := 0
		for k := range words {
			w := &words[k]
			switch {
			case w.unary != nil:
				to := target(&y, local, depth-1, i, n, k == len(words)-1)
				w.unary(to, stack[depth-1])
				stack[depth-1] = to
			case w.binary != nil:
				depth--
				to := target(&y, local, depth-1, i, n, k == len(words)-1)
				w.binary(to, stack[depth-1], stack[depth])
				stack[depth-1] = to
			default:
				stack[depth] = xs[w.input].read(tileBuf[float32](local, depth), i, n)
				depth++
			}
		}
		to := target(&y, local, 0, i, n, true)
		if &to[0] != &stack[0][0] {
			copy(to, stack[0]) // an expression of one input
		}
		y.keep(to, i)
	}), nil
}

// target is where the value at a depth of the stack is computed; the last
// value of all goes to the result.
func target(y *output[float32], local []float32, depth, i, n int, last bool) []float32 {
	buf := tileBuf[float32](local, depth)
	if last {
		return y.room(buf, i, n)
	}
	return buf[:n]
}

// actOp applies an activation function.
func actOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ActAttr)
	if !ok || a.Fn == "" || len(in) != 1 || !stored(in[0].DType) || in[0].DType != out[0].DType {
		return nil, false
	}
	f, ok := actOf(a)
	if !ok {
		return nil, false
	}
	return unaryKernel(b, fn1[float32](f), in, out), true
}
