package ir

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Dim is the size of one axis: a number, or a number times named sizes that
// are bound before a plan is made, as in "batch" or "4*batch*seq"; a sum of such
// stands for a name, as in "batch*(height*width+tokens)". The zero Dim is invalid;
// sizes may be zero only by N.
type Dim struct {
	N    int    // the factor; the whole size when Syms is empty
	Syms string // names and sums in parentheses, in sorted order joined by "*", or ""
}

// D returns the dimension of n elements.
func D(n int) Dim { return Dim{N: n} }

// Sym returns the dimension called name.
func Sym(name string) Dim { return Dim{N: 1, Syms: name} }

// Known reports whether d is a plain number.
func (d Dim) Known() bool { return d.Syms == "" }

// Mul returns d times e.
func (d Dim) Mul(e Dim) Dim {
	p := Dim{N: d.N * e.N}
	switch {
	case d.Syms == "":
		p.Syms = e.Syms
	case e.Syms == "":
		p.Syms = d.Syms
	default:
		names := append(split(d.Syms, '*'), split(e.Syms, '*')...)
		slices.Sort(names)
		p.Syms = strings.Join(names, "*")
	}
	if p.N == 0 {
		p.Syms = ""
	}
	return p
}

// Add returns d plus e.
func (d Dim) Add(e Dim) Dim {
	if d.Syms == e.Syms {
		return Dim{N: d.N + e.N, Syms: d.Syms}
	}
	return sum([]Dim{d, e})
}

// sum adds up sizes: like ones become one, their common factor stands in front,
// and those that are left are in order, the number last.
func sum(list []Dim) Dim {
	parts := map[string]int{}
	for _, d := range list {
		for _, t := range d.Terms() {
			parts[t.Syms] += t.N
		}
	}
	common := 0
	for _, n := range parts {
		for rest := n; rest != 0; {
			common, rest = rest, common%rest
		}
	}
	var out []string
	for _, syms := range slices.Sorted(maps.Keys(parts)) {
		if n := parts[syms]; n != 0 && syms != "" {
			out = append(out, Dim{N: n / common, Syms: syms}.String())
		}
	}
	if n := parts[""]; n != 0 {
		out = append(out, strconv.Itoa(n/common))
	}
	if len(out) == 0 {
		return D(0)
	}
	if len(out) == 1 {
		for syms, n := range parts {
			if n != 0 {
				return Dim{N: n, Syms: syms}
			}
		}
	}
	return Dim{N: common, Syms: "(" + strings.Join(out, "+") + ")"}
}

// Factors are the names and sums that d is a product of, besides N.
func (d Dim) Factors() []Dim {
	if d.Known() {
		return nil
	}
	var out []Dim
	for _, s := range split(d.Syms, '*') {
		out = append(out, Sym(s))
	}
	return out
}

// Terms are what d is the sum of: d itself, if it is none.
func (d Dim) Terms() []Dim {
	if f := split(d.Syms, '*'); len(f) != 1 || !strings.HasPrefix(f[0], "(") {
		return []Dim{d}
	}
	var out []Dim
	for _, s := range split(d.Syms[1:len(d.Syms)-1], '+') {
		t, _ := ParseDim(s)
		out = append(out, t.Mul(D(d.N)))
	}
	return out
}

// parseSum reads a sum in parentheses.
func parseSum(s string) (Dim, error) {
	if len(s) < 2 || s[0] != '(' || s[len(s)-1] != ')' {
		return Dim{}, fmt.Errorf("%q is no sum", s)
	}
	total := D(0)
	for _, t := range split(s[1:len(s)-1], '+') {
		d, err := ParseDim(t)
		if err != nil {
			return Dim{}, err
		}
		total = total.Add(d)
	}
	return total, nil
}

// split cuts at a mark, but not within parentheses.
func split(s string, mark byte) []string {
	var out []string
	depth, from := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		case mark:
			if depth == 0 {
				out = append(out, s[from:i])
				from = i + 1
			}
		}
	}
	return append(out, s[from:])
}

// Div returns d divided by e, and whether it divides without rest whatever
// the named sizes are.
func (d Dim) Div(e Dim) (Dim, bool) {
	if e.N == 0 || d.N%e.N != 0 {
		return Dim{}, false
	}
	q := Dim{N: d.N / e.N, Syms: d.Syms}
	if e.Syms == "" {
		return q, true
	}
	var names []string
	if d.Syms != "" {
		names = split(d.Syms, '*')
	}
	for _, s := range split(e.Syms, '*') {
		i := slices.Index(names, s)
		if i < 0 {
			return Dim{}, false
		}
		names = slices.Delete(names, i, i+1)
	}
	q.Syms = strings.Join(names, "*")
	return q, true
}

// Bind replaces the names in d by sizes. A name without a size stays.
func (d Dim) Bind(sizes map[string]int) Dim {
	return d.replace(func(name string) (Dim, bool) {
		n, ok := sizes[name]
		return D(n), ok
	})
}

// Replace is Bind for sizes that have names themselves.
func (d Dim) Replace(sizes map[string]Dim) Dim {
	return d.replace(func(name string) (Dim, bool) {
		e, ok := sizes[name]
		return e, ok
	})
}

func (d Dim) replace(size func(name string) (Dim, bool)) Dim {
	out := D(d.N)
	for _, f := range d.Factors() {
		if e, ok := size(f.Syms); ok {
			f = e
		} else if list := f.Terms(); len(list) > 1 {
			for i, t := range list {
				list[i] = t.replace(size)
			}
			f = sum(list)
		}
		out = out.Mul(f)
	}
	return out
}

// Names are the named sizes that d goes by.
func (d Dim) Names() []string {
	return strings.FieldsFunc(d.Syms, func(r rune) bool { return strings.ContainsRune("()*+", r) })
}

func (d Dim) String() string {
	switch {
	case d.Syms == "":
		return strconv.Itoa(d.N)
	case d.N == 1:
		return d.Syms
	}
	return strconv.Itoa(d.N) + "*" + d.Syms
}

// ParseDim reads what String writes.
func ParseDim(s string) (Dim, error) {
	out := D(1)
	for _, f := range split(s, '*') {
		if n, err := strconv.Atoi(f); err == nil {
			if n < 0 {
				return Dim{}, fmt.Errorf("dimension %q is negative", s)
			}
			out = out.Mul(D(n))
		} else if isName(f) {
			out = out.Mul(Sym(f))
		} else if total, err := parseSum(f); err == nil {
			out = out.Mul(total)
		} else {
			return Dim{}, fmt.Errorf("%q is not a dimension: want a number, a name, or their product", s)
		}
	}
	return out, nil
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
