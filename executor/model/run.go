package model

import (
	"context"
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

// Run makes one call of a plan that Forward gave. inputs are by the name of
// the model's inputs; their shapes must be the plan's. Integers are converted
// to the element type of the input. It returns the outputs in the plan's
// order, under the names that the model gives them, "logits" for its own if it says
// none, and the paths of nodes.
func (m *Model) Run(ctx context.Context, p *plan.Plan, inputs map[string]tensorfile.Tensor) ([]tensorfile.Tensor, error) {
	s, err := m.session(p)
	if err != nil {
		return nil, err
	}
	for _, in := range p.Inputs {
		t, ok := inputs[in.Name]
		if !ok {
			return nil, fmt.Errorf("%s: input %s has no value", m.opt.Name, in.Name)
		}
		data, err := m.input(in, t)
		if err != nil {
			return nil, fmt.Errorf("%s: input %s: %w", m.opt.Name, in.Name, err)
		}
		if err := s.Write(in.Name, data); err != nil {
			return nil, err
		}
	}
	if err := s.Run(ctx); err != nil {
		return nil, err
	}
	outs := m.Results(p)
	for i, out := range p.Outputs {
		outs[i].Data = make([]byte, out.Place.Type.Bytes())
		if err := s.Read(out.Name, outs[i].Data); err != nil {
			return nil, err
		}
	}
	return outs, nil
}

// Results are what Run gives of a plan, without their values.
func (m *Model) Results(p *plan.Plan) []tensorfile.Tensor {
	var outs []tensorfile.Tensor
	for _, out := range p.Outputs {
		t := tensorfile.Tensor{Name: out.Name, Type: out.Place.Type}
		if t.Name == "out" {
			t.Name = m.arch.OutName()
		}
		outs = append(outs, t)
	}
	return outs
}

// input converts a tensor to what a plan's input wants.
func (m *Model) input(in plan.Port, t tensorfile.Tensor) ([]byte, error) {
	want := in.Place.Type
	if !slices.Equal(t.Type.Sizes(), want.Sizes()) {
		return nil, fmt.Errorf("is %v, want %v", t.Type, want)
	}
	switch want.DType {
	case t.Type.DType:
		return t.Data, nil
	case ir.I32:
		ids, err := t.Int32s()
		if err != nil {
			return nil, err
		}
		return tensorfile.FromInt32s(t.Name, ids, want.Sizes()...).Data, nil
	case ir.F32:
		return tensorfile.FromFloat32s(t.Name, t.Float32s(), want.Sizes()...).Data, nil
	}
	return nil, fmt.Errorf("is %v, want %v", t.Type.DType, want.DType)
}

// Inputs are the types of the model's inputs, by name, as the architecture
// declares them.
func (m *Model) Inputs() (map[string]ir.Type, error) {
	types := map[string]ir.Type{}
	for _, n := range m.arch.Inputs() {
		t, err := ir.ParseType(n.Fields["dtype"], n.Fields["shape"])
		if err != nil {
			return nil, &schema.Error{Pos: n.Pos, Msg: err.Error()}
		}
		types[n.ID] = t
	}
	return types, nil
}

// Inputs are the names of the model's inputs that a plan of Forward or Padded
// reads.
func Inputs(p *plan.Plan) []string {
	var names []string
	for _, in := range p.Inputs {
		if in.Name != "lengths" {
			names = append(names, in.Name)
		}
	}
	return names
}

// withSizes is the type of t with other numbers of sequences and positions.
func withSizes(t tensorfile.Tensor, batch, seq int) ir.Type {
	return t.Type.With(append([]ir.Dim{ir.D(batch), ir.D(seq)}, t.Type.Shape[2:]...)...)
}

// OutputTypes are the types of what Call with the same arguments gives, in the order of the plan's
// outputs, with named sizes.
func (m *Model) OutputTypes(only, take []string, given ...string) ([]ir.Type, error) {
	program, err := m.program(plan.Entry{Name: "forward", Only: only, Take: take, Given: m.optional(given)})
	if err != nil {
		return nil, err
	}
	var types []ir.Type
	for _, out := range program.Graph().Outputs {
		types = append(types, out.Value.Type())
	}
	return types, nil
}

// Reach says how far what Call with the same arguments gives looks along a named size: a stretch
// of the results depends on no more than before elements of it in front, and after behind.
func (m *Model) Reach(size string, only, take []string, given ...string) (before, after int, err error) {
	program, err := m.program(plan.Entry{Name: "forward", Only: only, Take: take, Given: m.optional(given)})
	if err != nil {
		return 0, 0, err
	}
	return program.Reach(size)
}
