package model

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
)

// prove compares the plans' weights with the headers of the checkpoint: every
// name, shape and type, all mismatches at once.
func (m *Model) prove() error {
	var wants []checkpoint.Want
	seen := map[string]bool{}
	for _, p := range m.all() {
		for _, s := range p.States {
			if s.Kind == ir.Weight && !seen[s.Path] {
				seen[s.Path] = true
				wants = append(wants, checkpoint.Want{Name: s.Path, Shape: s.Type.Sizes(), DTypes: []ir.DType{s.Type.DType}})
			}
		}
	}
	return m.proveWeights(wants, func(to, from ir.DType) []ir.DType {
		switch {
		case to == ir.F32 && from.Blocked():
			return []ir.DType{to, from}
		case to.Blocked() && from == to:
			return []ir.DType{to}
		case to == ir.F32, to == ir.BF16, to == ir.F16, to.Blocked():
			return []ir.DType{ir.F32, ir.BF16, ir.F16, ir.F64}
		}
		return []ir.DType{to}
	})
}

// proveWeights is prove for weights by their paths. from lists the types of
// which one is read as another, given that of the file.
func (m *Model) proveWeights(weights []checkpoint.Want, from func(to, have ir.DType) []ir.DType) error {
	var wants, adapted []checkpoint.Want
	for _, w := range weights {
		if _, ok := m.ratios(w.Name); ok { // made of what is proven
			continue
		}
		var c *checkpoint.Checkpoint
		c, w.Name = m.source(w.Name)
		t, _ := c.Lookup(w.Name)
		if w.DTypes = from(w.DTypes[0], t.DType); c == m.ckpt {
			wants = append(wants, w)
		} else {
			adapted = append(adapted, w)
		}
	}
	if m.adapter != nil {
		if err := m.adapter.Checkpoint().Prove(adapted, func(name string) bool {
			layer, ok := m.adapter.LayerOf(name)
			return !ok || m.partial && m.arch.Holds(layer+".weight")
		}); err != nil {
			return err
		}
	}
	return m.ckpt.Prove(wants, func(name string) bool {
		return m.from.Ignores(name) || m.partial && m.arch.Holds(name)
	})
}
