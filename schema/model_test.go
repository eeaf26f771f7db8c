package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const golden = "../testdata/golden/"

// configure loads a config.json of the given text.
func configure(t *testing.T, text string) *Model {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tiny is a config.json with more fields put in.
func tiny(modelType, more string) string {
	return fmt.Sprintf(`{"model_type": %q, "vocab_size": 96, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 6,
		"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128%s}`, modelType, more)
}

// values collects one field of all ops of a kind, in order, as text.
func values(m *Model, op, field string) []string {
	var out []string
	expand(&m.Group, same, func(_ string, n *Node, _ func(string) string) {
		if n.Op == op {
			out = append(out, fmt.Sprint(n.Fields[field]))
		}
	})
	return out
}

// Windows of attention are those of transformers.
func TestLoadModelWindows(t *testing.T) {
	for _, c := range []struct{ modelType, more, want string }{
		{"llama", `, "sliding_window": 8`, "0 0 0 0 0 0"},
		{"mistral", `, "sliding_window": 8`, "8 8 8 8 8 8"},
		{"mistral", `, "sliding_window": null`, "0 0 0 0 0 0"},
		{"qwen2", `, "sliding_window": 8, "use_sliding_window": false, "max_window_layers": 2`, "0 0 0 0 0 0"},
		{"qwen2", `, "sliding_window": 8, "use_sliding_window": true, "max_window_layers": 4`, "0 0 0 0 8 8"},
		{"qwen2", `, "sliding_window": 8, "use_sliding_window": true, "max_window_layers": 0`, "8 8 8 8 8 8"},
		{"qwen2", `, "sliding_window": 8, "layer_types": ["full_attention", "sliding_attention", "full_attention",
			"sliding_attention", "full_attention", "full_attention"]`, "0 8 0 8 0 0"},
	} {
		if have := strings.Join(values(configure(t, tiny(c.modelType, c.more)), "attention", "window"), " "); have != c.want {
			t.Errorf("%s%s: windows %s, want %s", c.modelType, c.more, have, c.want)
		}
	}
}

// Activations and biases go by the config.
func TestLoadModelOptions(t *testing.T) {
	for _, c := range []struct{ modelType, more, op, field, want string }{
		{"llama", "", "act", "fn", "silu"},
		{"llama", `, "hidden_act": "gelu_pytorch_tanh"`, "act", "fn", "gelu_tanh"},
		{"llama", "", "linear", "bias", "false false false false false false false"},
		{"llama", `, "attention_bias": true, "mlp_bias": true`, "linear", "bias", "true true true true true true true"},
		{"qwen2", "", "linear", "bias", "true true true false false false false"},
		{"llama", `, "rms_norm_eps": 1e-5`, "rms_norm", "eps", "0.00001 0.00001"},
		{"llama", `, "head_dim": 16`, "rope", "dim", "16 16"},
		{"llama", ``, "rope", "dim", "12 12"},
	} {
		have := values(configure(t, tiny(c.modelType, c.more)), c.op, c.field)
		want := strings.Fields(c.want)
		if !slices.Equal(have[:len(want)], want) {
			t.Errorf("%s%s: %s.%s is %q, want %q", c.modelType, c.more, c.op, c.field, have[:len(want)], want)
		}
	}
}

// The fields of op.#Rope that a config gives mean the frequencies that
// transformers computes, for every kind of scaling that is known; the others
// are refused.
func TestLoadModelRotary(t *testing.T) {
	data, err := os.ReadFile(golden + "rope/frequencies.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Name    string
			Config  map[string]any
			SeqLen  float64   `json:"seq_len"`
			InvFreq []float64 `json:"inv_freq"`
			Scaling float64   `json:"attention_scaling"`
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range file.Cases {
		config := map[string]any{"model_type": "llama", "vocab_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
		maps.Copy(config, c.Config)
		config["hidden_size"] = c.Config["head_dim"]
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		m := configure(t, string(text))
		get := func(field string) float64 {
			x, err := strconv.ParseFloat(values(m, "rope", field)[0], 64)
			if err != nil {
				t.Fatalf("%s: %s: %v", c.Name, field, err)
			}
			return x
		}
		scale := 1.0
		if values(m, "rope", "scaling")[0] == "yarn" {
			if scale = get("attention_factor"); scale == 0 {
				scale = 0.1*math.Log(get("factor")) + 1
			}
		}
		if values(m, "rope", "scaling")[0] == "longrope" {
			scale = math.Sqrt(1 + math.Log(get("factor"))/math.Log(get("trained_length")))
		}
		if math.Abs(scale-c.Scaling) > 1e-12 {
			t.Errorf("%s: attention factor %v, want %v", c.Name, scale, c.Scaling)
		}
		for i, want := range c.InvFreq {
			if have := frequency(m, get, i, c.SeqLen); math.Abs(have-want) > 1e-9*want {
				t.Errorf("%s: frequency %d is %v, want %v", c.Name, i, have, want)
			}
		}
		checked++
	}
	if checked < 16 {
		t.Errorf("only %d cases", checked)
	}
}

// frequency is what the fields of op.#Rope say of pair i (arXiv:2104.09864,
// arXiv:2309.00071, arXiv:2402.13753, and Llama 3.1's rule) in sequences of a length.
func frequency(m *Model, get func(string) float64, i int, length float64) float64 {
	dim, theta, factor, trained := get("dim"), get("theta"), get("factor"), get("trained_length")
	f := math.Pow(theta, -2*float64(i)/dim)
	switch values(m, "rope", "scaling")[0] {
	case "linear":
		return f / factor
	case "dynamic":
		longer := max(1, factor*length/trained-(factor-1))
		return math.Pow(theta*math.Pow(longer, dim/(dim-2)), -2*float64(i)/dim)
	case "longrope":
		name := "short_factors"
		if length > trained {
			name = "long_factors"
		}
		divide, _ := strconv.ParseFloat(strings.Fields(strings.Trim(values(m, "rope", name)[0], "[]"))[i], 64)
		return f / divide
	case "llama3":
		turns := trained * f / (2 * math.Pi)
		low, high := get("low_freq_factor"), get("high_freq_factor")
		keep := min(1, max(0, (turns-low)/(high-low)))
		return f*keep + f/factor*(1-keep)
	case "yarn":
		at := func(turns float64) float64 {
			return dim * math.Log(trained/(turns*2*math.Pi)) / (2 * math.Log(theta))
		}
		low, high := at(get("beta_fast")), at(get("beta_slow"))
		if values(m, "rope", "no_truncate")[0] == "false" {
			low, high = math.Floor(low), math.Ceil(high)
		}
		low, high = max(low, 0), min(high, dim-1)
		ramp := min(1, max(0, (float64(i)-low)/(high-low)))
		return f*(1-ramp) + f/factor*ramp
	}
	return f
}

// Every node's place is the line of an architecture or layer where it is written.
func TestLoadModelPlaces(t *testing.T) {
	m, err := LoadModel(golden + "arch/llama31")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	expand(&m.Group, same, func(id string, node *Node, _ func(string) string) {
		n++
		data, err := os.ReadFile("../" + strings.TrimPrefix(node.Pos.File, "pipe.dev/"))
		if err != nil {
			t.Errorf("%s: %v", id, err)
			return
		}
		line := strings.Split(string(data), "\n")[node.Pos.Line-1]
		last := id[strings.LastIndex(id, ".")+1:]
		if !strings.HasPrefix(line[node.Pos.Col-1:], last+": op.#") {
			t.Errorf("%s: %v is %q", id, node.Pos, line)
		}
	})
	if n < 40 {
		t.Errorf("%d nodes", n)
	}
}

// A model that others trained loads, with the context it was trained on.
func TestLoadModelReal(t *testing.T) {
	dir := os.Getenv("PIPE_DATA")
	if dir == "" {
		dir = "../../shared/data"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no real data: ", err)
	}
	dir = filepath.Join(dir, "llm", "stories260K")
	m, err := LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	have := header(t, dir)
	for name := range weights(m) {
		if _, ok := have[name]; !ok {
			t.Errorf("wants %s, which is not there", name)
		}
	}
	if m.Context != 512 || len(weights(m)) != 47 || m.Arch != "llama" {
		t.Errorf("context %d, %d weights, %s", m.Context, len(weights(m)), m.Arch)
	}
}

func TestLoadModelMissing(t *testing.T) {
	dir := t.TempDir()
	_, err := LoadModel(dir)
	if want := filepath.Join(dir, "config.json") + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func BenchmarkLoadModel(b *testing.B) {
	for b.Loop() {
		if _, err := LoadModel(golden + "arch/llama"); err != nil {
			b.Fatal(err)
		}
	}
}
