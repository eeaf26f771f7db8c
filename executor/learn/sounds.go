package learn

import (
	"maps"
	"slices"

	"pipe.dev/executor/augment"
	"pipe.dev/executor/data"
)

// sounds decodes what a recipe says of inputs that are sound.
func (d *decoder) sounds(r *Recipe, sources map[string]any) {
	inputs, _ := sources["sounds"].(map[string]any)
	r.Sounds = map[string]data.SoundInput{}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		m, _ := inputs[name].(map[string]any)
		in := data.SoundInput{SoundsAttr: part[data.SoundsAttr](&decoder{fields: map[string]any{"": m}}, "")}
		for list, to := range map[string]*augment.Chain{"train": &in.Train, "eval": &in.Eval} {
			steps, _ := m[list].([]any)
			var err error
			if *to, err = augment.Table().Decode(steps); err != nil {
				d.fail("data.sounds."+name+"."+list, err)
			}
		}
		r.Sounds[name] = in
	}
}

// sound reports whether a recipe says of an input how it is made of sound.
func (r *Recipe) sound(input string) bool {
	_, ok := r.Sounds[input]
	return ok
}
