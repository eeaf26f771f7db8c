package op

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pipe.dev/compiler/ir"
)

// Token is one word of an ElementwiseAttr.Expr: an input, a value that was
// named before, a name for the last value, or an op applied to what was written
// before it.
type Token struct {
	Op    string // "add", "exp", ...; "" for the others
	Arity int    // operands of Op: 1 or 2
	Input int    // which input, if Op and Name are ""
	Name  string // "y0" or "t0"
	Sets  bool   // takes the last value away and calls it Name
}

// Result is which result of the expression the token names.
func (t Token) Result() (k int, ok bool) {
	if !t.Sets || t.Name[0] != 'y' {
		return 0, false
	}
	k, err := strconv.Atoi(t.Name[1:])
	return k, err == nil
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
// Polish notation that leave one value, the result, or name the results y0, y1
// and so on, in order, and leave none. Every input must be used.
func ParseExpr(expr string, n int) ([]Token, error) {
	p := expression{expr: expr, used: make([]bool, n), named: map[string]bool{}}
	for _, w := range strings.Fields(expr) {
		if err := p.word(w); err != nil {
			return nil, err
		}
	}
	if want := min(1, 1-min(p.results, 1)); p.depth != want {
		return nil, fmt.Errorf("expression %q leaves %d values, want %d", expr, p.depth, want)
	}
	if i := slices.Index(p.used, false); i >= 0 {
		return nil, fmt.Errorf("expression %q does not use x%d", expr, i)
	}
	return p.out, nil
}

// Results is how many results an expression has.
func Results(tokens []Token) int {
	n := 0
	for _, t := range tokens {
		if _, ok := t.Result(); ok {
			n++
		}
	}
	return max(n, 1)
}

type expression struct {
	expr           string
	used           []bool // the inputs
	named          map[string]bool
	depth, results int
	out            []Token
}

func (p *expression) word(w string) error {
	t := Token{Op: w}
	name, sets := strings.CutPrefix(w, "=")
	switch {
	case slices.Contains(ElementwiseOps(1), w), Rounds(w):
		t.Arity = 1
	case slices.Contains(ElementwiseOps(2), w):
		t.Arity = 2
	case sets:
		return p.set(name)
	case p.named[w]:
		t = Token{Name: w}
	default:
		i, err := strconv.Atoi(strings.TrimPrefix(w, "x"))
		if err != nil || w[0] != 'x' || i < 0 || i >= len(p.used) {
			return fmt.Errorf("expression %q: %q is neither an op nor one of %d inputs", p.expr, w, len(p.used))
		}
		t, p.used[i] = Token{Input: i}, true
	}
	if p.depth < t.Arity {
		return fmt.Errorf("expression %q: %s has %d operands, want %d", p.expr, w, p.depth, t.Arity)
	}
	p.depth += 1 - t.Arity
	p.out = append(p.out, t)
	return nil
}

// set reads a word that names the last value.
func (p *expression) set(name string) error {
	k, err := strconv.Atoi(strings.TrimLeft(name, "ty"))
	switch {
	case err != nil || k < 0 || len(name) < 2 || p.named[name] || name[0] != 't' && (name[0] != 'y' || k != p.results):
		return fmt.Errorf("expression %q: %q is no new name; want t0, t1 and so on, or the next of y0, y1 and so on", p.expr, name)
	case p.depth < 1:
		return fmt.Errorf("expression %q: there is no value to call %s", p.expr, name)
	case name[0] == 'y':
		p.results++
	}
	p.depth--
	p.named[name] = true
	p.out = append(p.out, Token{Name: name, Sets: true})
	return nil
}

// expressed writes an expression over in, and returns its results.
func (b *Builder) expressed(tokens []Token, in []ir.Value) []ir.Value {
	input := func(i int) ir.Value { return b.wide(in[i]) }
	return Follow(tokens, input, func(op string, x []ir.Value) ir.Value {
		if Rounds(op) {
			return b.Cast(b.one("cast", CastAttr{DType: op}, x[0]), x[0].Type().DType)
		}
		return b.one(op, nil, slices.Clone(x)...)
	})
}

// Follow does what an expression says: input gives the inputs, by number, apply does
// one op. It returns the results.
func Follow[V any](tokens []Token, input func(i int) V, apply func(op string, x []V) V) []V {
	var stack, results []V
	named := map[string]V{}
	for _, t := range tokens {
		top := len(stack) - max(t.Arity, min(1, len(stack)))
		switch {
		case t.Sets:
			named[t.Name] = stack[top]
			if _, ok := t.Result(); ok {
				results = append(results, stack[top])
			}
			stack = stack[:top]
		case t.Name != "":
			stack = append(stack, named[t.Name])
		case t.Op == "":
			stack = append(stack, input(t.Input))
		default:
			stack = append(stack[:top], apply(t.Op, stack[top:]))
		}
	}
	return append(results, stack...)
}
