package compiler

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// Reach is how far a program looks along a named size: what it gives for a stretch of it depends on
// no more than before elements of the size in front of the stretch and after elements behind it. So a long
// input may be computed in parts. There is no such number where something depends on all, as attention
// does, or where the size is not a factor of one axis of every result; the error says which node that is.
func (p *Program) Reach(size string) (before, after int, err error) {
	r := &reach{p: p, size: size, seen: map[ir.Value]stretch{}}
	for _, out := range p.graph.Outputs {
		axis, per, ok := r.axis(out.Value.Type())
		if !ok || axis < 0 {
			return 0, 0, fmt.Errorf("the result is %v, which is no whole number of %s along one axis", out.Value.Type(), size)
		}
		r.seen[out.Value] = stretch{axis: axis, per: per}
	}
	for _, n := range slices.Backward(p.graph.Nodes) {
		if err := r.through(n); err != nil {
			return 0, 0, err
		}
	}
	return r.before, r.after, nil
}

// reach follows what a stretch of the results depends on, from the results to the inputs.
type reach struct {
	p             *Program
	size          string
	seen          map[ir.Value]stretch
	before, after int
}

// stretch is what is needed of a value: from its element per*a + low to per*b + high, without that, for the
// stretch from a to b of the size.
type stretch struct{ axis, per, low, high int }

// axis is the axis of a type that the size is a factor of, and the other factor; -1 if there is none, and
// false if there are several, or something besides.
func (r *reach) axis(t ir.Type) (axis, per int, ok bool) {
	axis = -1
	for i, d := range t.Shape {
		if !slices.Contains(d.Names(), r.size) {
			continue
		}
		if axis >= 0 || d.Syms != r.size {
			return 0, 0, false
		}
		axis, per = i, d.N
	}
	return axis, per, true
}

// through goes from the results of a node to what it reads.
func (r *reach) through(n *ir.Node) error {
	var need *stretch
	for i := range n.Types {
		if s, ok := r.seen[ir.Value{Node: n, Out: i}]; ok {
			if need == nil {
				need = &s
			} else {
				need.low, need.high = min(need.low, s.low), max(need.high, s.high)
			}
		}
	}
	if need == nil {
		return nil
	}
	if n.Op == ir.OpInput {
		r.before, r.after = max(r.before, -floor(need.low, need.per)), max(r.after, -floor(-need.high, need.per))
		return nil
	}
	fail := func() error {
		where := n.Pos.String()
		if where != "" {
			where += ": "
		}
		return fmt.Errorf("%s%s depends on all of %s", where, n.Op, r.size)
	}
	if len(n.In) == 0 {
		if d, ok := r.p.table.Lookup(n.Op); !ok || d.Sees == nil {
			return fail()
		}
	}
	for i, v := range n.In {
		if !v.Valid() {
			continue
		}
		axis, per, ok := r.axis(v.Type())
		if ok && axis < 0 {
			continue
		}
		sight, known := r.p.table.SightOf(n, i, need.axis)
		if !ok || !known || sight.Axis != axis || need.per*sight.Step != per*sight.Spread {
			return fail()
		}
		s := stretch{axis, per, sight.From(need.low), sight.To(need.high-1) + 1}
		if had, ok := r.seen[v]; ok {
			s.low, s.high = min(s.low, had.low), max(s.high, had.high)
		}
		r.seen[v] = s
	}
	return nil
}

func floor(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
