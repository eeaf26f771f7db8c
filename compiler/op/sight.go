package op

import (
	"slices"

	"pipe.dev/compiler/ir"
)

// Sight is which elements of an input an element of a result depends on, along one axis each:
// element o of the result on those from (o*Step + First) / Spread, rounded up, to
// (o*Step + Last) / Spread, rounded down. What lies beyond the ends of the input counts as zeros.
type Sight struct {
	Axis         int // of the input; -1 if it has none that goes along, so that all elements see the same
	Step, Spread int
	First, Last  int
}

// same is the sight of an op that computes each element of its own.
func same(axis int) Sight { return Sight{Axis: axis, Step: 1, Spread: 1} }

// From and To are the first and the last element that element o sees.
func (s Sight) From(o int) int { return -floorDiv(-(o*s.Step + s.First), s.Spread) }

// To is the last element that element o sees.
func (s Sight) To(o int) int { return floorDiv(o*s.Step+s.Last, s.Spread) }

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// SightOf says what the results of n see of an input along an axis of the results; false where
// that is all of it, or unknown.
func (t *Table) SightOf(n *ir.Node, input, axis int) (Sight, bool) {
	d, ok := t.Lookup(n.Op)
	if !ok {
		return Sight{}, false
	}
	return d.sight(n, input, axis)
}

// sight is SightOf for a node of d.
func (d *Def) sight(n *ir.Node, input, axis int) (Sight, bool) {
	switch {
	case axis < 0:
	case d.Sees != nil:
		return d.Sees(n, input, axis)
	case d.Rows && input == 0 && n.In[0].Type().Rank() == n.Types[0].Rank() && axis < n.Types[0].Rank()-1:
		return same(axis), true
	}
	return Sight{}, false
}

// seesAlike is the sight of ops that compute an element of those at the same place, by the
// rules of NumPy.
func seesAlike(n *ir.Node, input, axis int) (Sight, bool) {
	x, y := n.In[input].Type(), n.Types[0]
	at := axis - (y.Rank() - x.Rank())
	if at < 0 || x.Shape[at] == ir.D(1) && y.Shape[axis] != ir.D(1) {
		at = -1
	}
	return same(at), true
}

// seesFirst is seesAlike of the first input; weights are seen by all.
func seesFirst(n *ir.Node, input, axis int) (Sight, bool) {
	if input > 0 {
		return Sight{}, false
	}
	return seesAlike(n, input, axis)
}

// seesBut is seesAlike but along the axes that change says.
func seesBut(change func(n *ir.Node, axis int) bool) func(n *ir.Node, input, axis int) (Sight, bool) {
	return func(n *ir.Node, input, axis int) (Sight, bool) {
		if change(n, axis) {
			return Sight{}, false
		}
		return seesAlike(n, input, axis)
	}
}

func seesTransposed(n *ir.Node, _, axis int) (Sight, bool) {
	perm, err := permutation(n.Attr.(TransposeAttr).Perm, n.Types[0].Rank())
	if err != nil {
		return Sight{}, false
	}
	return same(perm[axis]), true
}

// seesReshaped finds the axis of the operand that has as many elements before it. If fewer lie
// behind it than behind that of the result, an element of the result holds several of it; if more, one of it several.
func seesReshaped(n *ir.Node, _, axis int) (Sight, bool) {
	x, y := n.In[0].Type(), n.Types[0]
	before, after := outside(y.Shape, axis)
	found, ok := Sight{}, false
	for i := range x.Shape {
		b, a := outside(x.Shape, i)
		if b != before {
			continue
		}
		if a == after {
			return same(i), true
		}
		if r, whole := a.Div(after); whole && r.Known() && !ok {
			found, ok = Sight{Axis: i, Step: 1, Spread: r.N, First: 1 - r.N}, true
		}
		if r, whole := after.Div(a); whole && r.Known() && !ok {
			found, ok = Sight{Axis: i, Step: r.N, Spread: 1, Last: r.N - 1}, true
		}
	}
	return found, ok
}

// outside is how many elements lie before an axis, and behind it.
func outside(shape []ir.Dim, axis int) (before, after ir.Dim) {
	before, after = ir.D(1), ir.D(1)
	for i, d := range shape {
		if i < axis {
			before = before.Mul(d)
		} else if i > axis {
			after = after.Mul(d)
		}
	}
	return before, after
}

// seesConvolved is the sight of a convolution, and of its adjoint.
func seesConvolved(adjoint bool) func(n *ir.Node, input, axis int) (Sight, bool) {
	return func(n *ir.Node, input, axis int) (Sight, bool) {
		at, err := ConvGeometry(n.Attr, n.In[0].Type())
		switch {
		case err != nil || input > 0 || axis == 1:
			return Sight{}, false
		case axis == 0:
			return same(0), true
		}
		c, d := at.lists(), axis-2
		reach := c.dilation[d] * (n.In[1].Type().Shape[axis].N - 1)
		if adjoint {
			return Sight{Axis: axis, Step: 1, Spread: c.stride[d], First: c.before[d] - reach, Last: c.before[d]}, true
		}
		return Sight{Axis: axis, Step: c.stride[d], Spread: 1, First: -c.before[d], Last: reach - c.before[d]}, true
	}
}

// cutAxis reports whether an axis is the one that an op cuts or joins along.
func cutAxis(n *ir.Node, at int) bool {
	var a int
	switch attr := n.Attr.(type) {
	case SliceAttr:
		a = attr.Axis
	case AxisAttr:
		a = attr.Axis
	case SplitAttr:
		a = attr.Axis
	case PadAttr:
		return slices.Max([]int{attr.Before.Slice()[at], attr.After.Slice()[at]}) > 0
	}
	i, err := axis(a, n.Types[0].Rank())
	return err != nil || i == at
}
