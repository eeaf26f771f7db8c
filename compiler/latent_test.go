package compiler

import (
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/schema"
)

// A run that goes on after what was kept brings queries to the latents, unless an
// adapter changes how keys and values are made: then it makes them.
func TestLatentForm(t *testing.T) {
	m, err := schema.LoadModel("../testdata/golden/arch/deepseek_v2")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		entry   Entry
		adapter *Adapter
		linear  int // layers that make keys and values
	}{
		"whole": {Entry{Name: "forward"}, nil, 2},
		"kept":  {Entry{Name: "step", Cache: ir.F32}, nil, 0},
		"adapted": {Entry{Name: "step", Cache: ir.F32}, &Adapter{Fixed: true, Layer: func(p string) (AdaptedLayer, bool) {
			return AdaptedLayer{Rank: 2, Scale: 1}, strings.HasSuffix(p, "kv_b_proj")
		}}, 2},
		"other": {Entry{Name: "step", Cache: ir.F32}, &Adapter{Fixed: true, Layer: func(p string) (AdaptedLayer, bool) {
			return AdaptedLayer{Rank: 2, Scale: 1}, strings.HasSuffix(p, "o_proj")
		}}, 0},
	} {
		table, o := newContext(t)
		o.Entry, o.Adapter = c.entry, c.adapter
		cx := &context{table: table, opt: &o}
		g, err := elaborate(cx, m)
		if err == nil {
			g, err = adapt(cx, g)
		}
		if err != nil {
			t.Fatal(err)
		}
		made, kept := 0, 0
		for _, n := range g.Nodes {
			if path, ok := adaptable(n); ok && strings.HasSuffix(path, "kv_b_proj.weight") {
				made++
			}
		}
		for _, s := range g.States {
			if s.Kind == ir.Cache {
				kept++
			}
		}
		if made != c.linear || c.entry.Cache != ir.Invalid && kept != 2 {
			t.Errorf("%s: %d layers make keys and values, want %d; %d caches", name, made, c.linear, kept)
		}
	}
}
