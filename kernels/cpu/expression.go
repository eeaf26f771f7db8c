package cpu

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// An expression has tiles for the values on its stack, for those that have
// names, and a free one.
const (
	maxStack = 16 // the deepest stack
	maxNamed = 24
)

// word is one step of an expression: an input, a named value, a name for the top
// of the stack, or a function of the top.
type word struct {
	op            string // of two operands
	input         int
	unary         fn1[float32]
	binary        float2
	mix           bool // a first + b second, of inputs that are numbers
	first, second int
	named         int  // 1 + index of the named value that is read, or 0
	sets          int  // 1 + index of the value that the top becomes, or 0
	result        int  // 1 + which result that is, or 0
	deep          bool // values are left below the one that gets a name
}

// expressionOf compiles an expression if its types are some that there are
// functions for.
func (b *Backend) expressionOf(attr any, in, out []ir.Type) ([]word, bool) {
	a, ok := attr.(op.ElementwiseAttr)
	ok = ok && stored(out[0].DType)
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	if !ok {
		return nil, false
	}
	words, err := b.compile(a.Expr, len(in))
	return words, err == nil
}

// compile turns an expression into words.
func (b *Backend) compile(expr string, inputs int) ([]word, error) {
	tokens, err := op.ParseExpr(expr, inputs)
	if err != nil {
		return nil, err
	}
	out := make([]word, len(tokens))
	named := map[string]int{}
	depth := 0
	for i, t := range tokens {
		w, ok := &out[i], true
		switch {
		case t.Sets:
			named[t.Name] = len(named) + 1
			w.sets = named[t.Name]
			if k, is := t.Result(); is {
				w.result = k + 1
			}
			depth -= 2
			w.deep = depth+1 > 0
		case t.Name != "":
			w.named = named[t.Name]
		case t.Arity == 0:
			w.input = t.Input
		case t.Arity == 1:
			w.unary, ok = b.ones[t.Op]
		case t.Arity == 2:
			w.binary, ok = b.twos[t.Op]
			w.op = t.Op
		}
		if !ok {
			return nil, fmt.Errorf("expression %q: no function %s", expr, t.Op)
		}
		if depth += 1 - t.Arity; depth > maxStack || len(named) > maxNamed {
			return nil, fmt.Errorf("expression %q holds more than %d values at once, or names more than %d", expr, maxStack, maxNamed)
		}
	}
	return out, nil
}

// expression is bound words.
type expression struct {
	words  []word
	xs     []input[float32]
	ys     []result
	direct []bool // results that are computed where they lie
	rows   *asm.Vector
}

func (b *Backend) bindExpression(words []word, in, out []kernels.Tensor, shape []int) (*expression, error) {
	e := &expression{rows: &b.asm.Vector, xs: make([]input[float32], len(in)), ys: make([]result, len(out)), direct: make([]bool, len(out))}
	vs, err := b.views(append(in[:len(in):len(in)], out...)...)
	if err != nil {
		return nil, err
	}
	for i := range e.xs {
		e.xs[i] = newInput[float32](vs[i], in[i].Shape, shape)
	}
	e.words = e.mixed(words)
	for k := range e.ys {
		e.ys[k] = b.resultOf(vs[len(in)+k], vs[:len(in)]...)
		e.ys[k].stream = e.ys[k].stream && len(out) == 1
		e.direct[k] = !e.readLater(k)
	}
	return e, nil
}

// mixed makes one word of "a number mul b number mul add", which steps of
// optimizers and averages have many of.
func (e *expression) mixed(words []word) []word {
	type value struct {
		number bool
		mul    int // word of a multiplication by the number that is pushed just before, or -1
	}
	out, drop := slices.Clone(words), map[int]bool{}
	var stack []value
	named := map[int]value{}
	for i, w := range words {
		top := len(stack) - 1
		switch {
		case w.unary != nil:
			stack[top].mul = -1
		case w.sets > 0:
			named[w.sets] = value{stack[top].number, -1}
			stack = stack[:top]
		case w.named > 0:
			stack = append(stack, named[w.named])
		case w.binary.rows == nil:
			stack = append(stack, value{e.xs[w.input].n == 1, -1})
		default:
			a, b := stack[top-1], stack[top]
			stack = append(stack[:top-1], value{a.number && b.number, -1})
			switch last := words[i-1]; {
			case w.op == "mul" && !a.number && b.number && last.pushes():
				stack[top-1].mul = i
			case w.op == "add" && a.mul >= 0 && b.mul >= 0:
				out[i] = word{mix: true, first: words[a.mul-1].input, second: words[b.mul-1].input}
				for _, k := range []int{a.mul - 1, a.mul, b.mul - 1, b.mul} {
					drop[k] = true
				}
			}
		}
	}
	kept := out[:0]
	for i, w := range out {
		if !drop[i] {
			kept = append(kept, w)
		}
	}
	return kept
}

// pushes reports whether the word puts an input on the stack.
func (w *word) pushes() bool {
	return w.unary == nil && w.binary.rows == nil && !w.mix && w.named == 0 && w.sets == 0
}

// readLater reports whether the memory where result k lies is read after the
// word that makes it, or may be.
func (e *expression) readLater(k int) bool {
	made := len(e.words)
	for i, w := range e.words {
		if w.result == k+1 {
			if made = i; w.deep {
				return true
			}
		}
		if i > made && w.pushes() && e.xs[w.input].p == e.ys[k].p {
			return true
		}
	}
	return false
}

// cell is a value on the stack: a tile, or one number in x[0].
type cell struct {
	x      []float32
	number bool
}

// stackTile is the memory of a value: of the stack, the free one at maxStack,
// and then of named values.
func stackTile(local []float32, k int) []float32 { return local[k*tile : (k+1)*tile] }

// tile computes n elements from place i on.
func (e *expression) tile(local []float32, i, n int) {
	top := e.compute(local, i, n)
	if top.x != nil {
		e.put(0, top, e.ys[0].room(stackTile(local, 0), i, n), i)
	}
}

// put stores a value as result k, by way of the room where it is computed.
func (e *expression) put(k int, c cell, to []float32, i int) {
	if c.number {
		e.ys[k].rows.Fill(to, c.x[0])
	} else if len(to) > 0 && &to[0] != &c.x[0] {
		copy(to, c.x) // of one input, or made elsewhere
	}
	e.ys[k].done(to, i)
}

// compute gives the value that is left at the end, if there is one, and stores
// results that have names: those that may not be computed where they lie when
// all is read.
func (e *expression) compute(local []float32, i, n int) cell {
	var stack [maxStack + 1]cell
	var named [maxNamed]cell
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
			w.binary.apply(to, x, y, stackTile(local, maxStack))
			*x = cell{to, x.number && y.number}
		case w.mix:
			depth--
			x := &stack[depth-1]
			to := e.target(local, depth-1, i, n, k, false)
			e.rows.MixS(to, x.x, stack[depth].x, e.xs[w.first].one(0), e.xs[w.second].one(0))
			x.x = to
		case w.sets > 0:
			depth--
			named[w.sets-1] = e.name(w, stack[depth], local, i, n)
		case w.named > 0:
			stack[depth] = named[w.named-1]
			depth++
		default:
			stack[depth] = e.input(w.input, stackTile(local, depth), i, n)
			depth++
		}
	}
	for k := range e.words {
		if r := e.words[k].result - 1; r >= 0 && !e.direct[r] {
			e.put(r, named[e.words[k].sets-1], e.ys[r].room(stackTile(local, maxStack), i, n), i)
		}
	}
	if depth == 0 {
		return cell{}
	}
	return stack[0]
}

// name gives a value memory of its own, which is that of the result if it is
// one that lies where it is computed.
func (e *expression) name(w *word, c cell, local []float32, i, n int) cell {
	buf := stackTile(local, maxStack+w.sets)
	if r := w.result - 1; r >= 0 && e.direct[r] {
		to := e.ys[r].room(buf, i, n)
		e.put(r, c, to, i)
		if !c.number {
			c.x = to
			return c
		}
	}
	if c.number {
		buf[0] = c.x[0]
		return cell{buf[:1], true}
	}
	if &c.x[0] != &buf[0] {
		copy(buf[:n], c.x)
	}
	return cell{buf[:n], false}
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

// target is where the value at a depth of the stack is computed by word k: one
// that gets a name at once where it then lies, the last of all in the result.
func (e *expression) target(local []float32, depth, i, n, k int, number bool) []float32 {
	buf := stackTile(local, depth)
	if number {
		return buf[:1]
	}
	if k == len(e.words)-1 {
		if len(e.ys) > 0 {
			return e.ys[0].room(buf, i, n)
		}
		return buf[:n]
	}
	if w := &e.words[k+1]; w.sets > 0 {
		buf = stackTile(local, maxStack+w.sets)
		if r := w.result - 1; r >= 0 && e.direct[r] {
			return e.ys[r].room(buf, i, n)
		}
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
		f.rows(to, filled(buf[:len(to)], a.x[0]), b.x)
	default:
		f.rows(to, a.x, filled(buf[:len(to)], b.x[0]))
	}
}

func filled(buf []float32, v float32) []float32 {
	for i := range buf {
		buf[i] = v
	}
	return buf
}
