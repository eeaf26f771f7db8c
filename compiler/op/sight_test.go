package op

import (
	"testing"

	"pipe.dev/compiler/ir"
)

// TestSight changes elements of the inputs of every op's cases: only results may change that are
// said to see them. Of convolutions each end of what is said to be seen is seen by some.
func TestSight(t *testing.T) {
	t.Parallel()
	table, checked := newTable(t), map[string]bool{}
	for _, d := range table.Defs() {
		for _, c := range d.Cases {
			if c.Large || d.Sees == nil && !d.Rows {
				continue
			}
			if s := newSightCase(t, table, &d, c); s != nil && s.check(t) {
				checked[d.Name] = true
			}
		}
	}
	for _, name := range []string{"conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "conv", "conv_transpose", "add", "act", "elementwise", "linear", "transpose", "reshape", "batch_norm", "pad", "concat", "slice", "layer_norm", "select"} {
		if !checked[name] {
			t.Errorf("%s is not checked", name)
		}
	}
	if len(checked) < 45 {
		t.Errorf("%d ops are checked", len(checked))
	}
}

// sightCase is a case, and what it gives.
type sightCase struct {
	table *Table
	c     Case
	graph *ir.Graph
	node  *ir.Node
	in    map[string][]float64
	out   map[string][]float64
}

func newSightCase(t *testing.T, table *Table, d *Def, c Case) *sightCase {
	s := &sightCase{table: table, c: c, in: map[string][]float64{}}
	b := NewBuilder(table)
	in, work := make([]ir.Value, len(c.In)), 1
	for i, ty := range c.In {
		if ty.DType == ir.Invalid {
			continue
		}
		in[i] = b.Graph.AddInput(string(rune('a'+i)), ty, ir.Pos{})
		low, high := c.Low, c.High
		if bounds, ok := c.Bounds[i]; ok {
			low, high = bounds[0], bounds[1]
		}
		x := make([]float64, ty.Elems())
		for k := range x {
			if x[k] = low + (high-low)*float64((k*7+i*3)%11)/11; !ty.DType.Float() {
				x[k] = float64(int(x[k]))
			}
		}
		s.in[string(rune('a'+i))] = x
		work *= max(1, min(len(x), 50))
	}
	outs := b.Apply(d.Name, c.Attr, in...)
	b.Graph.Outputs = []ir.Output{{Name: "y", Value: outs[0]}}
	s.graph, s.node = b.Graph, outs[0].Node
	if len(c.In) == 0 || c.In[0].Elems() == 0 || s.node.Types[0].Elems() > 700 || work > 300000 {
		return nil
	}
	s.out = s.run(t)
	return s
}

func (s *sightCase) run(t *testing.T) map[string][]float64 {
	out, err := Eval(s.table, s.graph, s.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *sightCase) check(t *testing.T) (some bool) {
	for axis := range s.node.Types[0].Rank() {
		for i, v := range s.node.In {
			sight, ok := Sight{}, false
			if v.Valid() && v.Type().DType.Float() {
				sight, ok = s.table.SightOf(s.node, i, axis)
			}
			if !ok || sight.Axis < 0 {
				continue
			}
			some = true
			s.along(t, i, axis, sight)
		}
	}
	return some
}

// along changes some of the elements of an input along its axis, one place after the other.
func (s *sightCase) along(t *testing.T, input, axis int, sight Sight) {
	x, size, y := s.in[string(rune('a'+input))], s.c.In[input].Sizes(), s.node.Types[0].Sizes()
	_, n, inner := around(size, sight.Axis)
	first, last := false, false
	for _, j := range []int{0, 1, n / 2, n - 2, n - 1} {
		if j < 0 || j >= n {
			continue
		}
		kept := append([]float64(nil), x...)
		for k := range x {
			if k/inner%n == j {
				x[k] += 0.37
			}
		}
		now := s.run(t)["y"]
		copy(x, kept)
		_, many, within := around(y, axis)
		for k, v := range now {
			o := k / within % many
			if v == s.out["y"][k] {
				continue
			}
			if from, to := sight.From(o), sight.To(o); j < from || j > to {
				t.Errorf("%s %q: element %d along axis %d sees %d of input %d, which is said to lie beyond %d to %d", s.node.Op, s.c.Name, o, axis, j, input, from, to)
				return
			}
			first, last = first || j == sight.From(o), last || j == sight.To(o)
		}
	}
	if axis > 1 && len(s.node.Op) > 4 && s.node.Op[:4] == "conv" && s.c.Name != "kernel larger than x" && !(first && last) {
		t.Errorf("%s %q: along axis %d the ends of what is seen are not (%v %v)", s.node.Op, s.c.Name, axis, first, last)
	}
}
