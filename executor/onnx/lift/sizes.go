package lift

import (
	"math"

	"pipe.dev/compiler/ir"
)

// number is an element: a number, or a product of named sizes.
type number struct {
	n float64
	d ir.Dim // zero if it is a number
}

func (x number) named() bool { return x.d != ir.Dim{} }

// numbersAt spreads the elements of v over a shape.
func (l *lifter) numbersAt(v *value, shape ir.Type) []number {
	v = l.op("broadcast", broadcastTo(shape.Shape), v)
	out := make([]number, len(v.nums))
	for i, x := range v.nums {
		out[i].n = x
		if v.dims != nil {
			out[i].d = v.dims[i]
		}
	}
	return out
}

// named2 computes an elementwise op on named sizes; nil if a result is no
// product of them.
func (l *lifter) named2(name string, in []*value, out ir.Type) *value {
	args := make([][]number, len(in))
	for i, v := range in {
		args[i] = l.numbersAt(v, out)
	}
	v := &value{typ: out, nums: make([]float64, out.Elems()), dims: make([]ir.Dim, out.Elems())}
	for i := range v.nums {
		var x number
		ok := false
		switch len(args) {
		case 1:
			x, ok = unaryOf(name, args[0][i], out.DType)
		case 2:
			x, ok = binaryOf(name, args[0][i], args[1][i])
		case 3:
			if c := args[0][i]; name == "select" && !c.named() {
				if x, ok = args[2][i], true; c.n != 0 {
					x = args[1][i]
				}
			}
		}
		if !ok {
			return nil
		}
		v.nums[i], v.dims[i] = x.n, x.d
	}
	return v.settled()
}

func unaryOf(name string, x number, to ir.DType) (number, bool) {
	switch {
	case name == "cast" && to == ir.Bool:
		return number{n: truth(x.named() || x.n != 0)}, true // sizes are at least 1
	case name == "cast" && to == ir.I32:
		return number{n: math.Trunc(x.n), d: x.d}, true
	case name == "cast":
		return x, true
	case name == "floor":
		return number{n: math.Floor(x.n), d: x.d}, true
	case name == "abs":
		return number{n: math.Abs(x.n), d: x.d}, true
	case name == "neg" && !x.named():
		return number{n: -x.n}, true
	case name == "not" && !x.named():
		return number{n: truth(x.n == 0)}, true
	case name == "sign" && x.named():
		return number{n: 1}, true
	}
	return number{}, false
}

// dimOf is x as a product of named sizes.
func (x number) dimOf() (ir.Dim, bool) {
	if x.named() {
		return x.d, true
	}
	n := int(x.n)
	return ir.D(n), float64(n) == x.n && n >= 0
}

func ofDim(d ir.Dim) number {
	if d.Known() {
		return number{n: float64(d.N)}
	}
	return number{d: d}
}

// binaryOf computes with named sizes, each of which is at least 1.
func binaryOf(name string, a, b number) (number, bool) {
	if !a.named() && !b.named() {
		return plainOf(name, a.n, b.n)
	}
	da, oka := a.dimOf()
	db, okb := b.dimOf()
	alike := oka && okb && da.Syms == db.Syms
	switch name {
	case "mul":
		if oka && okb {
			return ofDim(da.Mul(db)), true
		}
	case "div":
		if q, ok := da.Div(db); ok && oka && okb {
			return ofDim(q), true
		}
	case "add":
		switch {
		case !a.named() && a.n == 0:
			return b, true
		case !b.named() && b.n == 0:
			return a, true
		case alike:
			return ofDim(ir.Dim{N: da.N + db.N, Syms: da.Syms}), true
		}
	case "sub":
		switch {
		case !b.named() && b.n == 0:
			return a, true
		case alike && da.N == db.N:
			return number{}, true
		case alike && da.N > db.N:
			return ofDim(ir.Dim{N: da.N - db.N, Syms: da.Syms}), true
		}
	case "max", "min":
		if c, ok := order(a, b); ok {
			if (c >= 0) == (name == "max") {
				return a, true
			}
			return b, true
		}
	}
	return compared(name, a, b)
}

// plainOf computes with numbers that stand beside named sizes.
func plainOf(name string, a, b float64) (number, bool) {
	switch name {
	case "mul":
		return number{n: a * b}, true
	case "div":
		return number{n: a / b}, true
	case "add":
		return number{n: a + b}, true
	case "sub":
		return number{n: a - b}, true
	case "max":
		return number{n: max(a, b)}, true
	case "min":
		return number{n: min(a, b)}, true
	case "and":
		return number{n: truth(a != 0 && b != 0)}, true
	case "or":
		return number{n: truth(a != 0 || b != 0)}, true
	}
	return compared(name, number{n: a}, number{n: b})
}

// order compares: -1, 0 or 1, if that is known.
func order(a, b number) (int, bool) {
	da, oka := a.dimOf()
	db, okb := b.dimOf()
	switch {
	case !a.named() && !b.named():
		return int(truth(a.n > b.n) - truth(a.n < b.n)), true
	case oka && okb && da.Syms == db.Syms:
		return sign(da.N - db.N), true
	case a.named() && !b.named() && b.n < float64(da.N):
		return 1, true
	case b.named() && !a.named() && a.n < float64(db.N):
		return -1, true
	case a.named() && b.n >= 1<<31-1 && !b.named():
		return -1, true // what stands for the end of an axis
	case b.named() && a.n >= 1<<31-1 && !a.named():
		return 1, true
	}
	return 0, false
}

func sign(n int) int { return min(1, max(-1, n)) }

func compared(name string, a, b number) (number, bool) {
	c, ok := order(a, b)
	if !ok {
		return number{}, false
	}
	switch name {
	case "eq":
		return number{n: truth(c == 0)}, true
	case "ne":
		return number{n: truth(c != 0)}, true
	case "lt":
		return number{n: truth(c < 0)}, true
	case "le":
		return number{n: truth(c <= 0)}, true
	case "gt":
		return number{n: truth(c > 0)}, true
	case "ge":
		return number{n: truth(c >= 0)}, true
	}
	return number{}, false
}
