package learn

import (
	"slices"
	"testing"
)

// TestAdapterConfig checks that PEFT gets targets that it understands: ends of
// paths as they are, and the layers themselves for patterns.
func TestAdapterConfig(t *testing.T) {
	layers := []string{"model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"}
	for _, c := range []struct{ targets, want []string }{
		{[]string{"up_proj"}, []string{"up_proj"}},
		{[]string{"*.mlp.*"}, layers},
		{[]string{"down_proj", "layers.*.up_proj"}, layers},
	} {
		m := &Member{Adapter: &AdapterAttr{Rank: 2, Alpha: 3, Dropout: 0.1, DoRA: true, RSLoRA: true, Targets: c.targets}}
		got := m.adapterConfig(layers)
		if !slices.Equal(got["target_modules"].([]string), c.want) {
			t.Errorf("%v becomes %v, want %v", c.targets, got["target_modules"], c.want)
		}
		if got["use_dora"] != true || got["use_rslora"] != true || got["lora_dropout"] != 0.1 {
			t.Errorf("%v", got)
		}
	}
}
