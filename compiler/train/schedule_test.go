package train_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/train"
)

func newSchedules(t testing.TB) *train.Table[*train.Schedule] {
	t.Helper()
	table, err := train.Schedules()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Factors are those of PyTorch and transformers, at every step of a run.
func TestSchedulesGolden(t *testing.T) {
	table := newSchedules(t)
	data, err := os.ReadFile(filepath.Join(golden, "schedules.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Steps int
		Cases []struct {
			Name    string
			Attr    json.RawMessage
			Factors []float64
		}
	}
	if err := json.NewDecoder(strings.NewReader(string(data))).Decode(&file); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, c := range file.Cases {
		t.Run(fmt.Sprintf("%s %d", c.Name, i), func(t *testing.T) {
			s, ok := table.Lookup(c.Name)
			if !ok {
				t.Fatalf("no schedule %s", c.Name)
			}
			seen[c.Name] = true
			a := attributes(t, &s.Def, decode(t, string(c.Attr)))
			if len(c.Factors) < file.Steps {
				t.Fatalf("%d factors for %d steps", len(c.Factors), file.Steps)
			}
			for step, want := range c.Factors {
				if got := s.At(a, step, file.Steps); !(math.Abs(got-want) <= 1e-12) {
					t.Errorf("factor of step %d is %v, want %v", step, got, want)
				}
			}
		})
	}
	for _, name := range table.Names() {
		if !seen[name] {
			t.Errorf("no fixture of %s", name)
		}
	}
}

// Factors stay finite and between 0 and 1 whatever the length of a run.
func TestScheduleBounds(t *testing.T) {
	for _, s := range newSchedules(t).Defs() {
		for _, text := range []string{`{}`, `{"warmup_steps": 5}`, `{"gamma": 0.5, "step_size": 2, "decay_steps": 9, "three_phase": true}`} {
			m := decode(t, `{"gamma": 0.9, "step_size": 3, "decay_steps": 4}`)
			for k, v := range decode(t, text) {
				m[k] = v
			}
			a := attributes(t, &s.Def, m)
			for steps := range 12 {
				for step := range 2*steps + 2 {
					if f := s.At(a, step, steps); !(f >= 0 && f <= 1) {
						t.Errorf("%s %s: factor of step %d of %d is %v", s.Name, text, step, steps, f)
					}
				}
			}
		}
	}
}
