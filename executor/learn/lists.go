package learn

import (
	"maps"
	"slices"

	"pipe.dev/executor/data"
)

// lists decodes what a recipe says of inputs whose rows are lists.
func (d *decoder) lists(r *Recipe, sources map[string]any) {
	inputs, _ := sources["lists"].(map[string]any)
	r.Lists = map[string]data.ListAttr{}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		m, _ := inputs[name].(map[string]any)
		r.Lists[name] = part[data.ListAttr](&decoder{fields: map[string]any{"": m}}, "")
	}
}
