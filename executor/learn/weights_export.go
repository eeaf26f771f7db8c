package learn

import (
	"io"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/session"
	"pipe.dev/executor/tensorfile"
)

// exportedWeights are the weights of a model, in the element type that the recipe
// says. An adapter is merged into them, in float64.
func (r *Run) exportedWeights(t *Trainer, m *Member) ([]checkpoint.Data, error) {
	to, err := r.saveType(m)
	if err != nil {
		return nil, err
	}
	var list []checkpoint.Data
	written := map[string]bool{}
	for _, s := range r.weightsOf(t, m) {
		d := checkpoint.Data{Name: r.exportName(m, s.Path), Type: s.Type, Bytes: make([]byte, s.Type.Bytes())}
		if err := r.read(t, s, d.Bytes); err != nil {
			return nil, err
		}
		values, err := r.written(t, s, d)
		if err == nil && values == nil {
			values, err = r.merged(t, s, d)
		}
		if err != nil {
			return nil, err
		}
		if values == nil && d.Type.DType != to {
			values = tensorfile.Tensor{Type: d.Type, Data: d.Bytes}.Float64s()
		}
		if values != nil {
			d.Type, d.Bytes = d.Type.As(to), tensorfile.AppendFloats(nil, to, values...)
			if i := checkpoint.FirstNaN(to, d.Bytes); i >= 0 { // more than f16 can hold
				return nil, &session.NaNError{Pos: ir.Pos{Path: s.Path}, Op: "save as " + to.String(), Index: i}
			}
		}
		list = append(list, d)
		written[d.Name] = true
	}
	return m.others(list, written, to)
}

// writeWeights writes weights as a safetensors file.
func writeWeights(write file, name string, list []checkpoint.Data) error {
	return write(name, func(w io.Writer) error { return checkpoint.Encode(w, list, map[string]string{"format": "pt"}) })
}

// weightsOf are the weights of a model, without its adapter.
func (r *Run) weightsOf(t *Trainer, m *Member) (list []plan.State) {
	for _, s := range t.states(ir.Weight) {
		_, copied := train.ReferenceOf(s.Path)
		if of, _ := r.Recipe.of(s.Path); of == m && !copied && !train.IsAdapter(s.Path) && !train.IsNorm(s.Path) {
			list = append(list, s)
		}
	}
	return list
}

// exportName is what a weight is called in the exported file of its model: that
// of one which is called is laid out as it was.
func (r *Run) exportName(m *Member, path string) string {
	_, rest := r.Recipe.of(path)
	if m.Name == "" || m.base == nil {
		return rest
	}
	return m.tensor(rest)
}

// others adds the tensors of a model that is called which no call computes with.
func (m *Member) others(list []checkpoint.Data, written map[string]bool, to ir.DType) ([]checkpoint.Data, error) {
	if m.Name == "" || m.base == nil {
		return list, nil
	}
	for name := range written {
		if !checkpoint.Stacked(name) {
			continue
		}
		for _, part := range m.base.Parts(name) {
			written[part.Name] = true
		}
	}
	for _, x := range m.base.Tensors() {
		if written[x.Name] {
			continue
		}
		data, err := m.base.View(x.Name)
		if err != nil {
			return nil, err
		}
		d := checkpoint.Data{Name: x.Name, Type: x.Type(), Bytes: data}
		if x.DType.Float() && x.DType != to {
			d.Type = x.Type().As(to)
			d.Bytes = tensorfile.AppendFloats(nil, to, tensorfile.Tensor{Type: x.Type(), Data: data}.Float64s()...)
		}
		list = append(list, d)
	}
	return list, nil
}

// read copies a weight as it is exported: its average, if the recipe says so.
func (r *Run) read(t *Trainer, s plan.State, dst []byte) error {
	path := s.Path
	if s.Changes && !s.Statistic && r.Recipe.Average != nil && r.Recipe.ExportAverage {
		path = train.AverageOf(path)
	}
	return t.readState(path, dst)
}

func (r *Run) floatsOf(t *Trainer, s plan.State) ([]float64, error) {
	data := make([]byte, s.Type.Bytes())
	if err := r.read(t, s, data); err != nil {
		return nil, err
	}
	return tensorfile.Tensor{Type: s.Type, Data: data}.Float64s(), nil
}
