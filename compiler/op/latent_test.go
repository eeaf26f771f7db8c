package op

import (
	"math"
	"testing"

	"pipe.dev/compiler/ir"
)

// Attention over latents is the same whether keys and values are made of them
// or queries are brought to them, and keeps a fraction of what keys and values take.
func TestLatentForms(t *testing.T) {
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	d, _ := table.Lookup("latent_attention")
	for _, c := range d.Cases {
		if c.In[2].DType == ir.Invalid {
			continue
		}
		b := NewBuilder(table)
		in, values := make([]ir.Value, len(c.In)), map[string][]float64{}
		for i, name := range []string{"query", "latent", "past", "weight"} {
			in[i] = b.Graph.AddInput(name, c.In[i], ir.Pos{})
			x := make([]float64, c.In[i].Elems())
			for k := range x {
				if x[k] = math.Sin(float64(7*k*(i+1) + i)); i == 2 {
					x[k] = c.Bounds[2][1]
				}
			}
			values[name] = x
		}
		for name, whole := range map[string]bool{"absorbed": false, "made": true} {
			at := c.Attr.(LatentAttentionAttr)
			at.Whole = whole
			b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: name, Value: b.Meaning(d, at, in...)[0]})
		}
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
		got, err := Eval(table, b.Graph, values, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range got["made"] {
			if x := got["absorbed"][i]; !(math.Abs(x-want) <= 1e-12) {
				t.Fatalf("%s: element %d is %v, want %v", c.Name, i, x, want)
			}
		}
	}
}
