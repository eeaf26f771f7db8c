package compiler

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/schema"
)

var update = flag.Bool("update", false, "rewrite the golden graphs")

// TestElaborate evaluates elaborated models in float64, with the weights that
// transformers made, and compares the logits: the meaning of documents, without
// any kernel and any pass.
func TestElaborate(t *testing.T) {
	table, o := newContext(t)
	list, err := filepath.Glob("../testdata/golden/arch/*/config.json")
	if err != nil || len(list) == 0 {
		t.Fatalf("no models: %v", err)
	}
	for _, f := range list {
		dir := filepath.Dir(f)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			m, err := schema.LoadModel(dir)
			if err != nil {
				t.Fatal(err)
			}
			o.Entry = Entry{Name: "forward"}
			g, err := elaborate(&context{table: table, opt: &o}, m)
			if err != nil {
				t.Fatal(err)
			}
			want := tensortest.Read(t, filepath.Join(dir, "expected.safetensors"))
			const rows = 12 // of the first sequence: the reference loops are slow
			g, err = bind(nil, g, map[string]int{"batch": 1, "seq": rows})
			if err != nil {
				t.Fatal(err)
			}
			got, err := op.Eval(table, g, map[string][]float64{"ids": want["ids"].Float64s()[:rows]}, weights(t, dir, g))
			if err != nil {
				t.Fatal(err)
			}
			logits := want["logits"].Float64s()
			for i, x := range got["out"] {
				if math.Abs(x-logits[i]) > 2e-6*math.Max(1, math.Abs(logits[i])) {
					t.Fatalf("logit %d is %v, want %v", i, x, logits[i])
				}
			}
		})
	}
}

// weights reads the states of g from a folder.
func weights(t *testing.T, dir string, g *ir.Graph) map[string][]float64 {
	t.Helper()
	c, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Unpack(); err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	read := func(path string, n int) []float64 {
		x, ok := c.Lookup(path)
		if !ok {
			t.Fatalf("no weight %s", path)
		}
		data, err := c.View(path)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float64, n)
		if !decode(x.DType, string(data), values) {
			t.Fatalf("%s is %v", path, x.DType)
		}
		return values
	}
	for _, s := range g.States {
		n := s.Read.Type().Elems()
		before, after, experts := strings.Cut(s.Path, "{e}")
		if !experts {
			out[s.Path] = read(s.Path, n)
			continue
		}
		for e := range s.Read.Type().Shape[0].N { // of each expert
			out[s.Path] = append(out[s.Path], read(fmt.Sprint(before, e, after), n/s.Read.Type().Shape[0].N)...)
		}
	}
	return out
}

// TestPasses compares the graph of a small model after every pass with a
// golden text; -update rewrites it.
func TestPasses(t *testing.T) {
	table, o := newContext(t)
	m, err := schema.LoadModel("../testdata/golden/arch/llama")
	if err != nil {
		t.Fatal(err)
	}
	o.Entry = Entry{Name: "step", Cache: ir.F32, Last: true}
	o.Trace = func(pass string, g *ir.Graph) {
		name := filepath.Join("testdata", "passes", pass+".txt")
		got := g.String()
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(name); err != nil || string(want) != got {
			t.Errorf("after %s the graph differs from %s (go test -update rewrites it): %v\n%s", pass, name, err, got)
		}
	}
	p, err := Compile(m, table, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Plan(map[string]int{"batch": 1, "seq": 4, "ctx": 16}); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkCompile makes a plan of 80 layers, from the document's nodes on.
// The aim is below 100 ms.
func BenchmarkCompile(b *testing.B) {
	table, err := op.New()
	if err != nil {
		b.Fatal(err)
	}
	m := deep(b, 80)
	o := Options{Entry: Entry{Name: "step", Cache: ir.F32, Last: true}, Target: target(b)}
	for b.Loop() {
		p, err := Compile(m, table, o)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Plan(map[string]int{"batch": 1, "seq": 128, "ctx": 2048}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlan makes a plan for one more set of sizes.
func BenchmarkPlan(b *testing.B) {
	table, err := op.New()
	if err != nil {
		b.Fatal(err)
	}
	p, err := Compile(deep(b, 80), table, Options{Entry: Entry{Name: "step", Cache: ir.F32, Last: true}, Target: target(b)})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		if _, err := p.Plan(map[string]int{"batch": 1, "seq": 128, "ctx": 2048 + n}); err != nil {
			b.Fatal(err)
		}
	}
}

// deep is the small model with more layers.
func deep(b *testing.B, layers int) *schema.Model {
	b.Helper()
	m, err := schema.LoadModel("../testdata/golden/arch/llama")
	if err != nil {
		b.Fatal(err)
	}
	var visit func(g *schema.Group) bool
	visit = func(g *schema.Group) bool {
		for i := range g.Nodes {
			if r := g.Nodes[i].Repeat; r != nil {
				r.N = layers
				return true
			}
			if inner := g.Nodes[i].Group; inner != nil && visit(inner) {
				return true
			}
		}
		return false
	}
	if !visit(&m.Group) {
		b.Fatal("no stack")
	}
	return m
}

// Heads that are no whole blocks are told at the line of their attention.
func TestCacheInBlocks(t *testing.T) {
	m, err := schema.LoadModel("../testdata/golden/arch/llama")
	if err != nil {
		t.Fatal(err)
	}
	table, o := newContext(t)
	o.Entry = Entry{Name: "step", Cache: ir.Q8_0}
	const want = "heads of key have 12 elements, no whole number of blocks of 32: q8_0 cannot keep them; set cache to f32, bf16 or f16"
	if _, err := Compile(m, table, o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("heads of 12 in q8_0: %v", err)
	} else {
		t.Log(err)
	}
}
