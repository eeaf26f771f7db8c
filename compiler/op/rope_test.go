package op

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

// Frequencies are those of transformers, in float64.
func TestFrequencies(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(golden, "rope", "frequencies.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Name   string
			SeqLen int `json:"seq_len"`
			Config struct {
				Dim     int            `json:"head_dim"`
				Max     int            `json:"max_position_embeddings"`
				Theta   float64        `json:"rope_theta"`
				Scaling map[string]any `json:"rope_scaling"`
			}
			Freq  []float64 `json:"inv_freq"`
			Scale float64   `json:"attention_scaling"`
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, c := range file.Cases {
		num := func(name string, fallback float64) float64 {
			if v, ok := c.Config.Scaling[name].(float64); ok {
				return v
			}
			return fallback
		}
		kind, _ := c.Config.Scaling["rope_type"].(string)
		if kind == "" {
			kind, _ = c.Config.Scaling["type"].(string)
		}
		if kind == "" {
			kind = "default"
		}
		seen[kind]++
		at := RopeAttr{Dim: c.Config.Dim, Theta: c.Config.Theta, Scaling: kind, Factor: num("factor", 1),
			LowFreqFactor: num("low_freq_factor", 1), HighFreqFactor: num("high_freq_factor", 4),
			TrainedLength: int(num("original_max_position_embeddings", float64(c.Config.Max))),
			BetaFast:      num("beta_fast", 32), BetaSlow: num("beta_slow", 1), AttentionFactor: num("attention_factor", 0)}
		if truncate, ok := c.Config.Scaling["truncate"].(bool); ok {
			at.NoTruncate = !truncate
		}
		if num("mscale", 0) != 0 { // two factors that a document divides
			at.AttentionFactor = c.Scale
		}
		list := func(name string) Floats {
			var out []string
			values, _ := c.Config.Scaling[name].([]any)
			for _, v := range values {
				out = append(out, fmt.Sprint(v))
			}
			return Floats(strings.Join(out, ","))
		}
		at.ShortFactors, at.LongFactors = list("short_factor"), list("long_factor")
		if kind == "longrope" && at.Factor == 1 {
			at.Factor = float64(c.Config.Max) / float64(at.TrainedLength)
		}
		at = at.spanned(ir.D(c.SeqLen))
		if err := at.check(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		freq, scale := at.Frequencies()
		if math.Abs(scale-c.Scale) > 1e-12 {
			t.Errorf("%s: scale %v, want %v", c.Name, scale, c.Scale)
		}
		if len(freq) != len(c.Freq) {
			t.Fatalf("%s: %d frequencies, want %d", c.Name, len(freq), len(c.Freq))
		}
		for i, want := range c.Freq {
			if math.Abs(freq[i]-want) > 1e-13*want {
				t.Errorf("%s: frequency %d is %v, want %v", c.Name, i, freq[i], want)
				break
			}
		}
	}
	for _, kind := range []string{"default", "linear", "dynamic", "llama3", "yarn", "longrope"} {
		if seen[kind] < 2 {
			t.Errorf("%d cases of %s", seen[kind], kind)
		}
	}
}
