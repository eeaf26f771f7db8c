package op

import (
	"testing"

	"pipe.dev/compiler/ir"
)

func newTable(t testing.TB) *Table {
	t.Helper()
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Every case has inputs that its op accepts, and its op can be lowered on them.
func TestCases(t *testing.T) {
	table := newTable(t)
	for _, d := range table.Defs() {
		names := map[string]bool{}
		for _, c := range d.Cases {
			if names[c.Name] {
				t.Errorf("%s: two cases are called %q", d.Name, c.Name)
			}
			names[c.Name] = true
			types, err := d.Infer(c.In, c.Attr)
			if err != nil {
				t.Errorf("%s %q: %v", d.Name, c.Name, err)
				continue
			}
			if len(types) != max(1, len(d.Outputs)) && d.Name != "split" && d.Name != "elementwise" && d.Name != "linear_cross_entropy_grad" && d.Name != "layer_norm_grad" && d.Name != "group_norm_grad" && d.ForGrad == nil {
				t.Errorf("%s %q: %d outputs, want %v", d.Name, c.Name, len(types), d.Outputs)
			}
			b := NewBuilder(table)
			in := make([]ir.Value, len(c.In))
			for i, ty := range c.In {
				if ty.DType != ir.Invalid {
					in[i] = b.Graph.AddInput(string(rune('a'+i)), ty, ir.Pos{})
				}
			}
			b.Apply(d.Name, c.Attr, in...)
			low := NewBuilder(table)
			low.Lowered(b.Graph, nil)
			if err := first(b.Err(), low.Err(), low.Graph.Verify()); err != nil {
				t.Errorf("%s %q: %v", d.Name, c.Name, err)
			}
			for _, n := range low.Graph.Nodes {
				if d, ok := table.Lookup(n.Op); ok && d.Ref == nil {
					t.Errorf("%s %q: %s is left after lowering", d.Name, c.Name, n.Op)
				}
			}
		}
	}
}
