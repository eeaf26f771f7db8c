package lift

import (
	"math"
	"slices"
	"strconv"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/onnx"
)

// inputs declares the inputs of the model: those of the graph that have no value.
func (l *lifter) inputs(s *scope, g *onnx.Graph) {
	for i := range g.Inputs {
		in := &g.Inputs[i]
		if _, ok := g.Initializer(in.Name); ok || in.Name == "" {
			continue
		}
		d, ok := runtime(in.DType)
		if !ok {
			fail("input %s is no tensor of numbers", onnx.Show(in.Name))
		}
		if !in.Ranked {
			fail("input %s has no shape in the file", onnx.Show(in.Name))
		}
		t := ir.Type{DType: d}
		for k, name := range in.Shape {
			t.Shape = append(t.Shape, l.size(in, k, name))
		}
		l.sized(t)
		s.values[in.Name] = l.input(in.Name, t)
	}
	l.check()
}

// size is a size of an input: a number, one that is fixed, or a name.
func (l *lifter) size(in *onnx.Value, axis int, name string) ir.Dim {
	if n, err := strconv.ParseInt(name, 10, 64); err == nil && n > 0 && n <= math.MaxInt32 {
		return ir.D(int(n))
	}
	if name == "" || name == "?" || name[0] == '-' || name[0] >= '0' && name[0] <= '9' {
		name = in.Name + "_" + strconv.Itoa(axis)
	}
	for _, called := range []string{name, sizeName(name)} {
		if x, ok := l.Fix[called]; ok {
			l.fixed[called] = true
			if x < 1 || x != math.Trunc(x) || x > math.MaxInt32 {
				fail("--fix %s is %v, want a size", called, x)
			}
			return ir.D(int(x))
		}
	}
	for _, called := range []string{name, sizeName(name)} {
		if other, ok := l.Rename[called]; ok {
			l.fixed[called], name = true, other
			break
		}
	}
	name = sizeName(name)
	if !slices.Contains(l.sizes, name) {
		l.sizes = append(l.sizes, name)
	}
	return ir.Sym(name)
}

// input is an input of the model, or a constant if it is fixed.
func (l *lifter) input(name string, t ir.Type) *value {
	if x, ok := l.Fix[name]; ok {
		l.fixed[name] = true
		if !t.Known() || t.Elems() > maxFold {
			fail("--fix %s: the input is %v, whose sizes are not known", onnx.Show(name), t)
		}
		return numbersOf(t.DType, t.Sizes(), slices.Repeat([]float64{x}, t.Elems())...)
	}
	declared := t
	if t.DType == ir.Bool {
		declared = t.As(ir.I32)
	}
	id := l.unique(identifier(name))
	x := l.b.Graph.AddInput(id, declared, ir.Pos{})
	l.names[x.Node] = id
	v := &value{typ: declared, node: x}
	if t.DType != declared.DType {
		from := len(l.b.Graph.Nodes)
		v = l.cast(v, t.DType)
		l.id = id + "_holds"
		l.nameNodes(from, []*value{v})
	}
	v.label = name
	return v
}

// pruned is the graph without what no output needs; inputs stay.
func (l *lifter) pruned() *ir.Graph {
	needed := map[*ir.Node]bool{}
	var walk []*ir.Node
	for _, o := range l.b.Graph.Outputs {
		walk = append(walk, o.Value.Node)
	}
	for _, in := range l.b.Graph.Inputs {
		walk = append(walk, in.Node)
	}
	for len(walk) > 0 {
		n := walk[len(walk)-1]
		walk = walk[:len(walk)-1]
		if needed[n] {
			continue
		}
		needed[n] = true
		for _, v := range n.In {
			if v.Valid() {
				walk = append(walk, v.Node)
			}
		}
	}
	g := l.b.Graph
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *ir.Node) bool { return !needed[n] })
	for i, n := range g.Nodes {
		n.ID = i
	}
	g.States = slices.DeleteFunc(g.States, func(s *ir.State) bool { return !needed[s.Read.Node] })
	l.shortNames(g)
	return g
}

// used are the weights that the graph reads.
func (l *lifter) used() []Weight {
	var out []Weight
	for _, s := range l.final {
		out = append(out, l.weightOf(s))
	}
	return out
}

// Weight is a weight of a model and where its values are.
type Weight struct {
	Name  string
	DType string // as safetensors spells it
	Shape []int
	from  *value
	read  func(t *onnx.Tensor) ([]byte, error)
}

func (l *lifter) weightOf(s *state) Weight {
	w := Weight{Name: s.path, DType: "F32", Shape: s.read.Type().Sizes(), from: s.from, read: l.Values}
	if src := s.from.src; src != nil && s.from.typ.DType == ir.F32 {
		w.DType = src.tensor.DType
	}
	return w
}

// Bytes is the length of the values.
func (w *Weight) Bytes() int64 {
	n := int64(widths[w.DType])
	for _, s := range w.Shape {
		n *= int64(s)
	}
	return n
}
