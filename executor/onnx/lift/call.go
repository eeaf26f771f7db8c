package lift

import (
	"math"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/onnx"
)

// call is one node with the graph around it.
type call struct {
	*lifter
	scope *scope
	n     *onnx.Node
}

// given is input i, or nil if it is left out.
func (c *call) given(i int) *value {
	if i >= len(c.n.In) || c.n.In[i] == "" {
		return nil
	}
	name := c.n.In[i]
	if v := c.scope.lookup(name); v != nil {
		return v
	}
	for at := c.scope; at != nil; at = at.outer {
		if at.init == nil {
			continue
		}
		if k, ok := at.init.Initializer(name); ok {
			v := c.constant(&c.file.Tensors[k], name)
			at.values[name] = v
			return v
		}
	}
	fail("reads %s, which nothing makes", onnx.Show(name))
	return nil
}

// in is input i, which must be there.
func (c *call) in(i int) *value {
	v := c.given(i)
	if v == nil {
		fail("lacks its input %d", i)
	}
	return v
}

// all are all inputs.
func (c *call) all() []*value {
	if len(c.n.In) == 0 {
		fail("has no inputs")
	}
	out := make([]*value, len(c.n.In))
	for i := range out {
		out[i] = c.in(i)
	}
	return out
}

// attr is an attribute, or nil. In a function one may stand for one of the call.
func (c *call) attr(name string, kind onnx.Kind) *onnx.Attribute {
	a := c.n.Attribute(name)
	if a != nil && a.Ref != "" {
		a = c.scope.attrs[a.Ref]
	}
	if a != nil && a.Kind != kind {
		fail("attribute %s is of another kind than the operation has", name)
	}
	return a
}

func (c *call) int(name string, fallback int) int {
	a := c.attr(name, onnx.Int)
	if a == nil {
		return fallback
	}
	if a.Int < math.MinInt32 || a.Int > math.MaxInt32 {
		fail("attribute %s is %d", name, a.Int)
	}
	return int(a.Int)
}

func (c *call) float(name string, fallback float64) float64 {
	if a := c.attr(name, onnx.Float); a != nil {
		return short(float64(a.Float))
	}
	return fallback
}

func (c *call) text(name, fallback string) string {
	if a := c.attr(name, onnx.Text); a != nil {
		return a.Text
	}
	return fallback
}

func (c *call) ints(name string) []int {
	a := c.attr(name, onnx.Ints)
	if a == nil {
		return nil
	}
	out := []int{}
	for _, n := range a.Ints {
		out = append(out, int(max(math.MinInt32, min(math.MaxInt32, n))))
	}
	return out
}

// list is a list of whole numbers, which older opsets have as an attribute, newer
// ones as input i; nil if there is none.
func (c *call) list(i int, name string) []int {
	if v := c.given(i); v != nil {
		return c.whole(v, name)
	}
	return c.ints(name)
}

// whole are the elements of a known value, whole numbers.
func (c *call) whole(v *value, name string) []int {
	if !c.known(v) {
		fail("its %s follow from values of inputs, and must be known", name)
	}
	if v.dims != nil {
		c.wrong(errorf("its %s are sizes that are not known", name))
	}
	out := []int{}
	for _, x := range v.nums {
		if x != math.Trunc(x) || math.IsInf(x, 0) {
			fail("its %s hold %v", name, x)
		}
		out = append(out, int(clamped(x)))
	}
	return out
}

// one is the only element of a known value.
func (c *call) one(v *value, name string) float64 {
	if !c.numeric(v) || len(v.nums) != 1 {
		fail("its %s must be one known number", name)
	}
	return v.nums[0]
}

// axis is an axis of v, from the attribute of that name.
func (c *call) axis(v *value, name string, fallback int) int {
	return c.axisOf(c.int(name, fallback), v.typ.Rank())
}

func (c *call) axisOf(a, rank int) int {
	if a < -rank || a >= rank {
		fail("axis %d is out of range for %d axes", a, rank)
	}
	if a < 0 {
		a += rank
	}
	return a
}

// axesOf are axes below rank, sorted.
func (c *call) axesOf(list []int, rank int) []int {
	out := make([]int, len(list))
	for i, a := range list {
		out[i] = c.axisOf(a, rank)
	}
	slices.Sort(out)
	if len(slices.Compact(slices.Clone(out))) != len(out) {
		fail("names an axis twice")
	}
	return out
}

// asked reports whether anything reads output i.
func (c *call) asked(i int) bool {
	return i < len(c.n.Out) && c.n.Out[i] != "" && c.scope.uses[c.n.Out[i]] > 0
}

// only refuses uses of outputs but the first ones.
func (c *call) only(n int) {
	for i := n; i < len(c.n.Out); i++ {
		if c.asked(i) {
			fail("its output %d is not computed", i)
		}
	}
}

// rank refuses a value of another number of axes.
func (c *call) rank(v *value, name string, n int) {
	if v.typ.Rank() != n {
		fail("its %s is %v, want %d axes", name, v.typ, n)
	}
}

// prefix is what the weights of a node are named after: the part that the names of
// constants of the file share, if they end in these, or else the node.
func (c *call) prefix(names []string, vs ...*value) string {
	found := ""
	for i, v := range vs {
		if v == nil || v.src == nil || !telling(v.src.name) {
			continue
		}
		before, last := cut(v.src.name)
		if last != names[i] || before == "" || found != "" && found != before {
			continue
		}
		found = before
	}
	if found == "" {
		return c.id
	}
	c.id = identifier(found)
	return found
}

// params applies an op with weights.
func (c *call) params(name string, attr any, prefix string, names []string, x []*value, weights ...*value) *value {
	var in []ir.Value
	for _, v := range x {
		in = append(in, c.node(v))
	}
	for n := 1; ; n++ { // all under one prefix that is free
		p := prefix
		if n > 1 {
			p = prefix + "_" + strings.Repeat("again_", n-2) + "again"
		}
		if !c.free(p, names, weights) {
			continue
		}
		for i, w := range weights {
			if w != nil {
				_, read := c.weight(p, names[i], w, w.typ.Shape)
				in = append(in, read)
			}
		}
		break
	}
	out := c.b.Apply(name, attr, in...)
	c.check()
	return &value{typ: out[0].Type(), node: out[0]}
}

// free reports whether weights can have names below a prefix.
func (c *call) free(prefix string, names []string, weights []*value) bool {
	for i, w := range weights {
		if w == nil {
			continue
		}
		s, ok := c.states[strings.TrimPrefix(prefix+"."+names[i], ".")]
		if ok && !(same(s.from, w) && slices.Equal(s.read.Type().Shape, w.typ.Shape)) {
			return false
		}
	}
	return true
}

// fixedFloats reports whether v is a constant of floating-point numbers.
func (c *call) constantFloats(v *value) bool {
	return v != nil && v.typ.DType == ir.F32 && v.dims == nil && (v.src != nil || v.nums != nil) && v.typ.Elems() > 0
}
