package learn

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

// NormRule says how the weights whose paths match a pattern are written while they are trained.
type NormRule struct {
	Pattern string
	Norm    train.Norm
}

// norms decodes how weights are written.
func (d *decoder) norms(r *Recipe) {
	list, _ := d.fields["norms"].([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		pattern, _ := m["pattern"].(string)
		norm, _ := m["norm"].(string)
		if norm == "none" {
			norm = ""
		}
		r.Norms = append(r.Norms, NormRule{pattern, train.Norm(norm)})
	}
	if len(r.Norms) > 0 && r.Adapts() {
		d.fail("norms", fmt.Errorf("are of weights that are trained, and an adapter is trained instead of them"))
	}
}

// Norm says how the weight at path is written while it is trained: as it is, if nothing changes it.
func (r *Recipe) Norm(path string) train.Norm {
	for _, n := range r.Norms {
		if train.Match(n.Pattern, path) {
			if r.Changes(path) {
				return n.Norm
			}
			break
		}
	}
	return train.NoNorm
}

// checkNorms wants each pattern to match a weight that is trained.
func (r *Run) checkNorms(paths []string) (errs schema.Errors) {
	for i, n := range r.Recipe.Norms {
		if !slices.ContainsFunc(paths, func(path string) bool { return r.Recipe.Changes(path) && train.Match(n.Pattern, path) }) {
			e := r.mistake(fmt.Sprintf("norms.%d.pattern", i), "%q matches no weight that is trained", n.Pattern)
			e.Hint = near(n.Pattern, paths)
			errs = append(errs, e)
		}
	}
	return errs
}

// namesIn says what files call states: one that is written by a norm as PyTorch's parametrizations do.
func namesIn(states []plan.State) func(path string) string {
	has := map[string]bool{}
	for _, s := range states {
		has[s.Path] = true
	}
	return func(path string) string { return train.NormedName(path, func(p string) bool { return has[p] }) }
}

// written is the weight that a state stands for, or nil if it is that weight.
func (r *Run) written(t *Trainer, s plan.State, d checkpoint.Data) ([]float64, error) {
	paths, states := train.SingularOf(s.Path), map[string]plan.State{}
	for _, x := range t.states(ir.Weight) {
		states[x.Path] = x
	}
	length, weight := states[train.LengthOf(s.Path)]
	left, spectral := states[paths[0]]
	if !weight && !spectral {
		return nil, nil
	}
	w := tensorfile.Tensor{Type: d.Type, Data: d.Bytes}.Float64s()
	rows := s.Type.Shape[0].N
	cols := len(w) / rows
	if weight {
		lengths, err := r.floatsOf(t, length)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			row := w[i*cols : (i+1)*cols]
			scaled(row, lengths[i]/norm(row))
		}
		return w, nil
	}
	u, err := r.floatsOf(t, left)
	if err != nil {
		return nil, err
	}
	v, err := r.floatsOf(t, states[paths[1]])
	if err != nil {
		return nil, err
	}
	sigma := 0.0
	for i := range rows {
		sigma += u[i] * dot(w[i*cols:(i+1)*cols], v)
	}
	scaled(w, 1/sigma)
	return w, nil
}

// singular fills the vectors of spectral norms: fifteen steps of the power iteration, which begins
// with cosines, so that nothing is random about it.
func (t *Trainer) singular(list []plan.State) error {
	vectors := map[string]plan.State{}
	for _, s := range list {
		vectors[s.Path] = s
	}
	for _, s := range t.states(ir.Weight) {
		paths := train.SingularOf(s.Path)
		left, ok := vectors[paths[0]]
		if !ok {
			continue
		}
		data := make([]byte, s.Type.Bytes())
		if err := t.readState(s.Path, data); err != nil {
			return err
		}
		u, v := singularVectors(tensorfile.Tensor{Type: s.Type, Data: data}.Float64s(), s.Type.Shape[0].N)
		for _, x := range []struct {
			s      plan.State
			values []float64
		}{{left, u}, {vectors[paths[1]], v}} {
			if err := t.newState(x.s, tensorfile.AppendFloats(nil, x.s.Type.DType, x.values...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// singularVectors approaches those of the greatest singular value of a matrix.
func singularVectors(w []float64, rows int) (u, v []float64) {
	cols := len(w) / rows
	u, v = make([]float64, rows), make([]float64, cols)
	for i := range v {
		v[i] = math.Cos(float64(i))
	}
	scaled(v, 1/norm(v))
	for range 15 {
		for i := range u {
			u[i] = dot(w[i*cols:(i+1)*cols], v)
		}
		scaled(u, 1/math.Max(norm(u), 1e-12))
		clear(v)
		for i, x := range w {
			v[i%cols] += u[i/cols] * x
		}
		scaled(v, 1/math.Max(norm(v), 1e-12))
	}
	return u, v
}

func dot(a, b []float64) (sum float64) {
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

func norm(x []float64) float64 { return math.Sqrt(dot(x, x)) }

func scaled(x []float64, by float64) {
	for i := range x {
		x[i] *= by
	}
}
