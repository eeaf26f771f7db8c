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

// exported are the weights of the model, in the element type that the recipe
// says. An adapter is merged into them, in float64.
func (r *Run) exported(t *Trainer) ([]checkpoint.Data, error) {
	to, err := r.saveType()
	if err != nil {
		return nil, err
	}
	var list []checkpoint.Data
	for _, s := range t.states(ir.Weight) {
		_, copied := train.ReferenceOf(s.Path)
		if copied || r.Recipe.Adapter != nil && s.Changes { // a part of the adapter
			continue
		}
		d := checkpoint.Data{Name: s.Path, Type: s.Type, Bytes: make([]byte, s.Type.Bytes())}
		if err := r.read(t, s, d.Bytes); err != nil {
			return nil, err
		}
		values, err := r.merged(t, s, d)
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
	}
	return list, nil
}

// writeWeights writes weights as a safetensors file.
func writeWeights(write file, name string, list []checkpoint.Data) error {
	return write(name, func(w io.Writer) error { return checkpoint.Encode(w, list, map[string]string{"format": "pt"}) })
}

// read copies a weight as it is exported: its average, if the recipe says so.
func (r *Run) read(t *Trainer, s plan.State, dst []byte) error {
	path := s.Path
	if s.Changes && !s.Statistic && r.Recipe.Average != nil && r.Recipe.ExportAverage {
		path = train.AverageOf(path)
	}
	return t.store.Read(path, dst)
}

func (r *Run) floatsOf(t *Trainer, s plan.State) ([]float64, error) {
	data := make([]byte, s.Type.Bytes())
	if err := r.read(t, s, data); err != nil {
		return nil, err
	}
	return tensorfile.Tensor{Type: s.Type, Data: data}.Float64s(), nil
}
