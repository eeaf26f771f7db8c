package op

import (
	"fmt"
	"testing"

	"pipe.dev/compiler/ir"
)

// TestTF32Passes checks that what an op with the permission is made of, and its gradients,
// have it: every product of the simpler ops.
func TestTF32Passes(t *testing.T) {
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range table.Defs() {
		for _, c := range d.Cases {
			if c.Large || c.Attr == nil || !allowed(c.Attr) || d.Name == "expert_linear" { // which picks by products with 0 and 1
				continue
			}
			b, args := NewBuilder(table), []ir.Value{}
			for i, x := range c.In {
				args = append(args, b.Graph.AddInput(fmt.Sprint(i), x, ir.Pos{}))
			}
			y := b.Apply(d.Name, c.Attr, args...)
			low := NewBuilder(table)
			at := low.Lowered(b.Graph, nil)
			if b.Err() != nil || low.Err() != nil {
				t.Fatal(b.Err(), low.Err())
			}
			var wanted []ir.Value
			for i, x := range c.In {
				if x.DType.Float() && i < 2 {
					wanted = append(wanted, at[args[i]])
				}
			}
			low.Grad(at[y[0]], low.Graph.AddInput("dy", y[0].Type(), ir.Pos{}), wanted...)
			products := 0
			for _, n := range low.Graph.Nodes {
				switch n.Attr.(type) {
				case MatMulAttr, ConvAttr:
					if products++; !allowed(n.Attr) {
						t.Errorf("%s %s: %s%s may not be rounded", d.Name, c.Name, n.Op, ir.AttrString(n.Attr))
					}
				}
			}
			if low.Err() != nil || products < 3 {
				t.Errorf("%s %s: %d products, want 3 at least: %v", d.Name, c.Name, products, low.Err())
			}
		}
	}
}

// allowed reports whether an attribute has the permission.
func allowed(attr any) bool {
	switch a := attr.(type) {
	case MatMulAttr:
		return a.TF32
	case LinearAttr:
		return a.TF32
	case GatedLinearAttr:
		return a.TF32
	case GatedHalvesAttr:
		return a.TF32
	case CrossEntropyAttr:
		return a.TF32
	case ExpertLinearAttr:
		return a.TF32
	case ConvAttr:
		return a.TF32
	case ConvLayerAttr:
		return a.TF32
	case ConvTransposeLayerAttr:
		return a.TF32
	}
	return false
}
