package compiler

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/schema"
)

// stack is a model of several equal layers.
func stack(t *testing.T, layers int) *schema.Model {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`{"model_type": "llama", "vocab_size": 40, "hidden_size": 32, "intermediate_size": 80,
		"num_hidden_layers": %d, "num_attention_heads": 4, "max_position_embeddings": 64}`, layers)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRemat checks that every result keeps its bits when values are computed
// anew.
func TestRemat(t *testing.T) {
	const dir = "../testdata/golden/arch/llama"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, phase := range []Phase{Step, Accumulate} {
		p := newProgram(t, m, phase, true, map[string]int{"batch": 3, "seq": 5})
		plain := weights(t, dir, modelStates(p.graph))
		anew := maps.Clone(plain)
		in := batch(t, dir, 0, 3, 5)
		want := p.run(plain, in)

		_, o := newContext(t)
		o.Training = training(t, phase)
		c := &context{table: p.table, opt: &o, recompute: AllBlocks}
		before := len(p.graph.Nodes)
		if p.graph, err = remat(c, p.graph); err != nil {
			t.Fatal(err)
		}
		if err := verify(p.table, p.graph); err != nil {
			t.Fatal(err)
		}
		if want := []string{"model.layers.0", "model.layers.1"}; !slices.Equal(c.again.Blocks, want) || len(p.graph.Nodes) <= before {
			t.Errorf("%v are computed anew, by %d nodes; want %v", c.again.Blocks, len(p.graph.Nodes)-before, want)
		}
		if got := p.run(anew, in); !maps.EqualFunc(got, want, slices.Equal) || !maps.EqualFunc(anew, plain, slices.Equal) {
			t.Errorf("%s: other results than without", phase)
		}
	}
}

// TestRematMemory checks that the memory of a deep model grows by one value a
// layer, that every block makes it smaller, and that no more blocks are taken
// than are needed.
func TestRematMemory(t *testing.T) {
	sizes := map[string]int{"batch": 8, "seq": 64}
	const residual = 8 * 64 * 32 * 4 // batch, seq, width, bytes; more than the gradients of a layer
	compiled := func(layers int, phase Phase) *Program {
		table, o := newContext(t)
		o.Entry, o.Training = Entry{Name: string(phase)}, training(t, phase)
		o.Training.Recompute = AllBlocks
		p, err := Compile(stack(t, layers), table, o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, phase := range []Phase{Step, Accumulate} {
		var work []int64
		for _, layers := range []int{6, 12} {
			made, err := compiled(layers, phase).Plan(sizes)
			if err != nil {
				t.Fatal(err)
			}
			if len(made.Again.Blocks) != layers || made.Again.FLOPs <= 0 || made.Again.FLOPs*2 >= made.FLOPs() {
				t.Errorf("%d of %d layers are computed anew, by %d of %d flop", len(made.Again.Blocks), layers, made.Again.FLOPs, made.FLOPs())
			}
			work = append(work, made.WorkBytes)
		}
		if grown := work[1] - work[0]; grown > 6*residual*11/10 {
			t.Errorf("%s: six layers more need %d bytes, want 6 times %d", phase, grown, residual)
		}
	}
	const layers = 8
	p := compiled(layers, Step)
	var before int64
	for n := range layers { // the last one need not gain: it is computed anew at once

		made, err := p.planOnce(sizes, n)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && made.WorkBytes >= before {
			t.Errorf("%d blocks need %d bytes, one fewer %d", n, made.WorkBytes, before)
		}
		if before = made.WorkBytes; n%4 != 2 {
			continue
		}
		for limit, want := range map[int64]int{before: n, before - 1: n + 1} {
			if fit, err := p.PlanWithin(sizes, limit); err != nil || len(fit.Again.Blocks) != want {
				t.Errorf("within %d bytes %d blocks are computed anew, want %d: %v", limit, len(fit.Again.Blocks), want, err)
			}
		}
	}
}
