package model

import (
	"fmt"
	"io"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/convert"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

// Arch is the architecture, as its config sets it up.
func (m *Model) Arch() *schema.Model { return m.arch }

// Graph is the model over whole sequences, its sizes by their names, with the
// values of the nodes in take as results, too. The headers of its weights are
// proven; WriteWeight then gives their values.
func (m *Model) Graph(take []string) (*ir.Graph, error) {
	p, err := m.programOf(plan.Entry{Name: "forward", Take: take}, nil)
	if err != nil {
		return nil, err
	}
	g := p.Graph()
	var wants []checkpoint.Want
	for _, s := range g.States {
		t := s.Read.Type()
		wants = append(wants, checkpoint.Want{Name: s.Path, Shape: t.Sizes(), DTypes: []ir.DType{t.DType}})
	}
	err = m.proveWeights(wants, func(to, from ir.DType) []ir.DType {
		all := []ir.DType{to, ir.F32, ir.BF16, ir.F16, ir.F64}
		if from.Blocked() {
			all = append(all, from)
		}
		return all
	})
	return g, err
}

// StoredBytes is the size of a weight as its file has it; of what is computed 0.
func (m *Model) StoredBytes(s *ir.State) int64 {
	if _, ok := m.ratios(s.Path); ok {
		return 0
	}
	c, name := m.source(s.Path)
	t, _ := c.Lookup(name)
	return t.Bytes
}

// WriteWeight writes the values of a weight of Graph, row-major, in its type:
// rounded to nearest even where the file has another. NaN or infinity in it is an
// error.
func (m *Model) WriteWeight(s *ir.State, w io.Writer) error {
	to := s.Read.Type().DType
	if l, ok := m.ratios(s.Path); ok {
		values, err := m.adapter.Ratios(l, m.ckpt, m.tensorName(l.Path+".weight"))
		if err != nil {
			return err
		}
		_, err = w.Write(tensorfile.AppendFloats(nil, to, values...))
		return err
	}
	c, name := m.source(s.Path)
	names := []string{name}
	if checkpoint.Stacked(name) {
		names = nil
		for _, t := range c.Parts(name) {
			names = append(names, t.Name)
		}
	}
	for _, name := range names {
		t, _ := c.Lookup(name)
		data, err := c.View(name)
		if err != nil {
			return err
		}
		if i := checkpoint.FirstNaN(t.DType, data); i >= 0 {
			return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q: element %d is NaN or infinite", name, i)}
		}
		if err := convert.Values(w, t.DType, to, data); err != nil {
			return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q: %v", name, err)}
		}
		c.Release(name)
	}
	return nil
}
