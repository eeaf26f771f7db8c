package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// crossing begins the name of what crosses a cut; no document can give a name so.
const crossing = "#cut/"

// Crossing is the name of value i that crosses a cut.
func Crossing(i int) string { return fmt.Sprint(crossing, i) }

// Crosses reports whether a port is of what crosses a cut.
func (p Port) Crosses() bool { return strings.HasPrefix(p.Name, crossing) }

// Join makes one of the plans of both sides of a cut: the front runs, what crosses
// is copied, and the back runs, if anything is left to it.
func Join(front, back *Plan) (*Plan, error) {
	p := &Plan{Name: back.Name, Backend: front.Backend + "+" + back.Backend, Sizes: maps.Clone(back.Sizes), Parts: []*Plan{front, back}}
	if len(back.Inputs)+len(back.Outputs)+len(back.Steps) == 0 {
		p.Backend, p.Parts = front.Backend, p.Parts[:1]
	}
	for _, part := range p.Parts {
		p.Steps = append(p.Steps, part.Steps...)
		for _, in := range part.Inputs {
			if !in.Crosses() && !slices.ContainsFunc(p.Inputs, func(x Port) bool { return x.Name == in.Name }) {
				p.Inputs = append(p.Inputs, in)
			}
		}
		for _, out := range part.Outputs {
			if !out.Crosses() {
				p.Outputs = append(p.Outputs, out)
			}
		}
	}
	for _, in := range back.Inputs {
		if !in.Crosses() {
			continue
		}
		i := slices.IndexFunc(front.Outputs, func(x Port) bool { return x.Name == in.Name })
		if i < 0 || !front.Outputs[i].Place.Type.Equal(in.Place.Type) {
			return nil, fmt.Errorf("plan %s: the front of the cut does not give %s as %v", p.Name, in.Name, in.Place.Type)
		}
	}
	return p, nil
}

// Each lists the parts of a plan that is made of several, or the plan itself.
func (p *Plan) Each() []*Plan {
	if len(p.Parts) > 0 {
		return p.Parts
	}
	return []*Plan{p}
}
