package compiler

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

// ofRank is an adapter of one rank and scale for all its layers.
func ofRank(rank int, scale float64, targets func(path string) bool) func(string) (AdaptedLayer, bool) {
	return like(AdaptedLayer{Rank: rank, Scale: scale}, targets)
}

// like is an adapter with the same for all its layers.
func like(l AdaptedLayer, targets func(path string) bool) func(string) (AdaptedLayer, bool) {
	return func(path string) (AdaptedLayer, bool) { return l, targets(path) }
}

// TestAdapters holds adapters against those of the PEFT library: losses before
// each of three steps and after them, and the weights then.
func TestAdapters(t *testing.T) {
	files, err := filepath.Glob("../testdata/golden/train/adapters/*.safetensors")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".safetensors"), func(t *testing.T) { adapter(t, file) })
	}
}

func adapter(t *testing.T, file string) {
	var about struct {
		Model   string
		Rank    int
		Scale   float64
		DoRA    bool
		Targets []string
	}
	c, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := json.Unmarshal([]byte(c.Metadata()["case"]), &about); err != nil {
		t.Fatal(err)
	}
	list, err := tensorfile.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]float64{}
	for _, x := range list {
		values[x.Name] = x.Float64s()
	}
	dir := "../testdata/golden/arch/" + about.Model
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	make := func(phase Phase) *program {
		table, o := newContext(t)
		o.Training = training(t, phase)
		o.Training.Adapter = &Adapter{Layer: like(AdaptedLayer{Rank: about.Rank, Scale: about.Scale, Magnitude: about.DoRA}, func(path string) bool {
			for _, end := range about.Targets {
				if train.Match(end, path) {
					return true
				}
			}
			return false
		})}
		p, err := Compile(m, table, o)
		if err != nil {
			t.Fatal(err)
		}
		g, err := bind(nil, p.Graph(), map[string]int{"batch": 1, "seq": 23})
		if err != nil {
			t.Fatal(err)
		}
		return &program{t, table, g}
	}
	step, evaluate := make(Step), make(Evaluate)
	base := &ir.Graph{}
	for _, s := range evaluate.graph.States {
		if !train.IsAdapter(s.Path) {
			base.States = append(base.States, s)
		}
	}
	states, adapted := weights(t, dir, base), 0
	for name, x := range values {
		if path, ok := strings.CutPrefix(name, "start.base_model.model."); ok {
			states[path] = x
			adapted++
		}
	}
	in := rowOf(t, dir)
	for i, want := range values["loss"] {
		p := step
		if i == 3 {
			p = evaluate
		}
		in["step"] = []float64{float64(i + 1)}
		out := p.run(states, in)
		if d := far([]float64{out["loss"][0] / out["count"][0]}, []float64{want}); d > 1e-9 {
			t.Errorf("loss %d is off by %v", i, d)
		}
	}
	for name, want := range values {
		if path, ok := strings.CutPrefix(name, "after.base_model.model."); ok {
			if d := far(states[path], want); d > 1e-8 {
				t.Errorf("%s is off by %v", path, d)
			}
			adapted--
		}
	}
	if adapted != 0 || len(values) < 10 {
		t.Errorf("%d weights at the start are not among those after", adapted)
	}
}

// rowOf is row 0 of the reference ids, every next token a target.
func rowOf(t *testing.T, dir string) map[string][]float64 {
	t.Helper()
	list, err := tensorfile.Read(dir + "/expected.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	in := map[string][]float64{"lr": {0.01}}
	for _, x := range list {
		if x.Name == "ids" {
			row := x.Float64s()[:x.Type.Sizes()[1]]
			in["ids"], in["targets"] = row[:len(row)-1], row[1:]
		}
	}
	for range in["ids"] {
		in["weights"] = append(in["weights"], 1)
	}
	return in
}

// TestDropout checks where programs leave anything out: while they learn, each
// layer by random numbers of its own.
func TestDropout(t *testing.T) {
	m, err := schema.LoadModel("../testdata/golden/arch/llama")
	if err != nil {
		t.Fatal(err)
	}
	for phase, want := range map[Phase]int{Step: 2 * 2 * 2, Accumulate: 2 * 2 * 2, Evaluate: 0, Update: 0} {
		table, o := newContext(t)
		o.Training = training(t, phase)
		o.Training.Adapter = &Adapter{Layer: like(AdaptedLayer{Rank: 2, Scale: 1, Dropout: 0.5}, func(path string) bool {
			return strings.HasSuffix(path, "q_proj") || strings.HasSuffix(path, "v_proj")
		})}
		p, err := Compile(m, table, o)
		if err != nil {
			t.Fatal(err)
		}
		seeds, all := map[string]int{}, 0
		for _, n := range p.Graph().Nodes {
			if n.Op == "dropout" {
				all++
				seeds[fmt.Sprint(n.Attr)]++
			}
		}
		if all > want || all < want-2 || len(seeds) != (want+1)/2 { // forward and backward; the first layer's input has no gradient
			t.Errorf("%s: %d ops with %d seeds, want %d", phase, all, len(seeds), want)
		}
	}
}
