package diffusion

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
)

// TestSamplers holds every step of every sampler against diffusers
// (testdata/golden/samplers.py). Samples are carried from step to step, so that
// errors add up.
func TestSamplers(t *testing.T) {
	data, err := os.ReadFile("../../testdata/golden/samplers/steps.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []goldenCase
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, c := range golden.Cases {
		seen[c.Class] = true
		t.Run(fmt.Sprintf("%d-%s", i, c.Class), c.run)
	}
	for _, d := range table {
		if !seen[d.class] {
			t.Errorf("%s is not tested", d.name)
		}
	}
}

type goldenCase struct {
	Class      string
	Config     json.RawMessage
	Steps      int
	Start      float64
	X          []float32
	Timesteps  []float64
	Scale      []float64
	Out, Noise [][]float32
	Next       [][]float32
}

func (c goldenCase) run(t *testing.T) {
	const tol = 1e-5
	s, err := ParseSettings(c.Config)
	if err != nil || len(s.Unknown) > 0 {
		t.Fatal(err, s.Unknown)
	}
	s.Class = c.Class
	name, config, err := s.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(name, config, Options{Steps: c.Steps, Batch: 2, Tokens: 1024})
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range w.Timesteps() {
		if i >= len(c.Timesteps) || !near(got, c.Timesteps[i], tol) {
			t.Fatalf("timesteps are %v, want %v", w.Timesteps(), c.Timesteps)
		}
	}
	if len(w.Timesteps()) != len(c.Timesteps) || !near(w.Start(), c.Start, tol) {
		t.Fatalf("%d steps from %g, want %d from %g", len(w.Timesteps()), w.Start(), len(c.Timesteps), c.Start)
	}
	x := slices.Clone(c.X)
	for i := range c.Timesteps {
		if !near(w.Scale(i), c.Scale[i], tol) {
			t.Fatalf("step %d: scale %g, want %g", i, w.Scale(i), c.Scale[i])
		}
		if w.Noisy(i) && len(c.Noise[i]) == 0 {
			t.Fatalf("step %d: reads noise, and the reference does not", i)
		}
		w.Next(i, x, c.Out[i], c.Noise[i])
		worst, size := 0.0, 1.0
		for j, v := range c.Next[i] {
			worst, size = max(worst, math.Abs(float64(v)-float64(x[j]))), max(size, math.Abs(float64(v)))
		}
		if !(worst <= tol*size) {
			t.Fatalf("step %d of %d: worst error %g of %g\n got %v\nwant %v", i, len(c.Timesteps), worst, size, x, c.Next[i])
		}
	}
}

func near(a, b, tol float64) bool { return math.Abs(a-b) <= tol*max(1, math.Abs(b)) }
