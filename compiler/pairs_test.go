package compiler

import (
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/schema"
)

// Ropes read neighbours where weights have them, and all else stays: where there is another number of heads,
// what an adapter changes, and what has a bias.
func TestPairs(t *testing.T) {
	table, o := newContext(t)
	o.Entry = Entry{Name: "step", Cache: ir.F32, Last: true}
	const q, k = "model.layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.k_proj.weight"
	heads := map[string]int{q: 4, k: 2}
	adapter := &Adapter{Fixed: true, Layer: func(path string) (AdaptedLayer, bool) {
		return AdaptedLayer{Rank: 2, Scale: 1}, strings.HasSuffix(q, path+".weight")
	}}
	for name, c := range map[string]struct {
		arch    string
		heads   map[string]int
		adapter *Adapter
		found   int
	}{
		"both":          {"llama", heads, nil, 2},
		"none":          {"llama", nil, nil, 0},
		"queries alone": {"llama", map[string]int{q: 4}, nil, 1},
		"keys alone":    {"llama", map[string]int{k: 2}, nil, 1},
		"other heads":   {"llama", map[string]int{q: 4, k: 4}, nil, 1},
		"an adapter":    {"llama", heads, adapter, 1},
		"biases":        {"qwen2", heads, nil, 0},
	} {
		m, err := schema.LoadModel("../testdata/golden/arch/" + c.arch)
		if err != nil {
			t.Fatal(err)
		}
		o.Adapter = c.adapter
		o.Pairs = func(path string) (int, bool) { n, ok := c.heads[path]; return n, ok }
		p, err := Compile(m, table, o)
		if err != nil {
			t.Fatal(err)
		}
		weights, turned := 0, 0
		for _, s := range p.Graph().States {
			if s.Pairs {
				weights++
			}
		}
		for _, n := range p.Graph().Nodes {
			if a, ok := n.Attr.(op.RotateAttr); ok && a.Interleaved && a.Apart {
				turned++
			}
		}
		if weights != c.found || turned != c.found {
			t.Errorf("%s: %d weights are in pairs and %d rotations are of neighbours, want %d", name, weights, turned, c.found)
		}
	}
}

// Weights stay in the document's order where a rope turns a part of a head, and where more than it reads what they give.
func TestPairsStay(t *testing.T) {
	m, err := schema.LoadModel("../testdata/golden/arch/llama")
	if err != nil {
		t.Fatal(err)
	}
	table, o := newContext(t)
	o.Entry = Entry{Name: "step", Cache: ir.F32}
	o.Pairs = func(path string) (int, bool) {
		return 2, path == "model.layers.1.self_attn.k_proj.weight"
	}
	for name, c := range map[string]struct {
		change func(rope, values *ir.Node)
		want   bool
	}{
		"as it is":             {func(rope, values *ir.Node) {}, true},
		"a part of heads":      {func(rope, values *ir.Node) { a := rope.Attr.(op.RopeAttr); a.Dim = 8; rope.Attr = a }, false},
		"keys that are values": {func(rope, values *ir.Node) { values.In[1] = rope.In[0] }, false},
	} {
		cx := &context{table: table, opt: &o}
		g, err := elaborate(cx, m)
		if err != nil {
			t.Fatal(err)
		}
		nodes := map[string]*ir.Node{}
		for _, n := range g.Nodes {
			if n.Op == "rope" || n.Op == "cache_append" {
				nodes[n.Op] = n // the last ones are those of the keys and values of layer 1
			}
		}
		c.change(nodes["rope"], nodes["cache_append"])
		next, err := pairs(cx, g)
		if err != nil {
			t.Fatal(err)
		}
		got := false
		for _, s := range next.States {
			got = got || s.Pairs
		}
		if got != c.want {
			t.Errorf("%s: keys in pairs: %t", name, got)
		}
	}
}
