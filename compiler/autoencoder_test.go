package compiler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/schema"
)

const autoencoders = "../testdata/golden/autoencoder"

// autoencoderCase is what a file of testdata/golden/autoencoder says of itself.
type autoencoderCase struct {
	LR     float64          `json:"lr"`
	Losses []map[string]any `json:"losses"`
	Update []string         `json:"update"`
}

// terms are the losses of the case, decoded as those of recipes are.
func (c *autoencoderCase) terms(t *testing.T) []train.Term {
	t.Helper()
	objectives, err := train.Objectives()
	if err != nil {
		t.Fatal(err)
	}
	var out []train.Term
	for _, m := range c.Losses {
		text := func(key string) string { s, _ := m[key].(string); return s }
		number := func(key string, or float64) float64 {
			if x, ok := m[key].(float64); ok {
				return x
			}
			return or
		}
		o, ok := objectives.Lookup(text("name"))
		if !ok {
			t.Fatalf("no objective %q", text("name"))
		}
		term := train.Term{Name: text("label"), Objective: o, Y: text("y"), Weight: number("weight", 1), From: int(number("from", 0)),
			Ramp: int(number("ramp", 0)), Adaptive: text("adaptive"), In: map[string]train.Source{}}
		if term.Name == "" {
			term.Name = o.Name
		}
		if term.Attr, err = o.Default(); o.Name == "adversarial" {
			term.Attr, err = train.AdversarialAttr{Form: cmp.Or(text("form"), "hinge"), As: text("as")}, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		inputs, _ := m["inputs"].(map[string]any)
		for name, token := range inputs {
			term.In[name] = train.Source{Token: token.(string)}
		}
		out = append(out, term)
	}
	return out
}

// TestAutoencoders holds three steps of what autoencoders are trained by against
// PyTorch: losses, weights and running statistics, of the graph as it is and as
// it is optimized.
func TestAutoencoders(t *testing.T) {
	t.Parallel()
	folders, err := os.ReadDir(autoencoders)
	if err != nil || len(folders) < 4 {
		t.Fatal(err, len(folders))
	}
	for _, f := range folders {
		for _, optimize := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s optimized %v", f.Name(), optimize), func(t *testing.T) { compareAutoencoder(t, f.Name(), optimize) })
		}
	}
}

func compareAutoencoder(t *testing.T, name string, optimize bool) {
	dir := filepath.Join(autoencoders, name)
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := fixtureOf(t, "autoencoder/"+name+"/values.safetensors")
	open, err := checkpoint.Open(filepath.Join(dir, "values.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	var about autoencoderCase
	if err := json.Unmarshal([]byte(open.Metadata()["case"]), &about); err != nil {
		t.Fatal(err)
	}
	p := autoencoderStep(t, m, &about, optimize)
	states := map[string][]float64{}
	for _, s := range p.graph.States {
		if x, ok := file[s.Path]; ok {
			states[s.Path] = slices.Clone(x.Float64s())
		} else {
			t.Fatalf("the fixture lacks %s", s.Path)
		}
	}
	for step := range 3 {
		in := map[string][]float64{"lr": {about.LR}, "step": {float64(step + 1)}, doneName: {float64(step)}}
		for path, x := range file {
			if input, ok := strings.CutPrefix(path, "in."); ok {
				all := x.Float64s()
				in[input] = all[step*len(all)/3 : (step+1)*len(all)/3]
			}
		}
		out := p.run(states, in)
		have := map[string][]float64{"loss": {out["loss"][0] / out["count"][0]}, "mean.factor": out["measure/fooled/factor"]}
		for _, l := range about.terms(t) {
			have["mean."+l.Name] = out["mean/"+l.Name]
		}
		for path, x := range file {
			if path == "loss" || strings.HasPrefix(path, "mean.") {
				if d := far(have[path], x.Float64s()[step:step+1]); !(d <= 1e-9) {
					t.Errorf("step %d: %s is %v, want %v", step, path, have[path], x.Float64s()[step])
				}
			}
		}
	}
	checked := 0
	for path, x := range file {
		of, ok := strings.CutSuffix(path, ".after")
		if !ok || states[of] == nil {
			continue
		}
		checked++
		if d := far(states[of], x.Float64s()); !(d <= 1e-9) {
			t.Errorf("%s is off by %v", of, d)
		}
	}
	if checked < 4 {
		t.Errorf("%d weights are compared", checked)
	}
}

// autoencoderStep is a step of plain gradient descent.
func autoencoderStep(t *testing.T, m *schema.Model, about *autoencoderCase, optimize bool) *program {
	t.Helper()
	table, o := newContext(t)
	how := regression(t, Step)
	how.OptimizerAttr, how.Losses = train.SGDAttr{}, about.terms(t)
	how.Trained = func(path string, _ []ir.Dim) bool {
		return slices.ContainsFunc(about.Update, func(p string) bool { return train.Match(p, path) })
	}
	o.Entry, o.Training = Entry{Name: string(Step)}, how
	c := &context{table: table, opt: &o}
	g, err := elaborate(c, m)
	if optimize && err == nil {
		var p *Program
		if p, err = Optimize(g, table, o); err == nil {
			g = p.Graph()
		}
	} else if err == nil {
		for _, pass := range []func(*context, *ir.Graph) (*ir.Graph, error){statistics, learn} {
			if err == nil {
				g, err = pass(c, g)
			}
		}
	}
	if err == nil {
		g, err = bind(c, g, map[string]int{"batch": 2})
	}
	if err == nil {
		err = verify(table, g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &program{t, table, g}
}
