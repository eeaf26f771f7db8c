package learn

import (
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/session"
	"pipe.dev/executor/tensorfile"
)

// layerOf is the layer that a weight belongs to: its path without the last part.
func layerOf(path string) string {
	if i := strings.LastIndexByte(path, '.'); i > 0 {
		return path[:i]
	}
	return path
}

// squares reads the sums of squares of the gradients, by layer.
func (t *Trainer) squares(s *session.Session, r *result) error {
	r.squares = map[string]float64{}
	for _, out := range s.Plan().Outputs {
		path, ok := strings.CutPrefix(out.Name, "grad_square/")
		if !ok {
			continue
		}
		x, err := t.scalar(s, out.Name)
		if err != nil {
			return err
		}
		r.squares[layerOf(path)] += x
	}
	return nil
}

// maxDistribution bounds how many values of a weight make a distribution: a
// larger one is cut into so many stretches, and one is taken of each.
const maxDistribution = 1 << 16

// watched reports whether a step's distributions are wanted.
func (t *Trainer) watched(step int) bool {
	return t.cfg.Distribution != nil && (t.saves(step) || t.evaluates(step))
}

// weightDistributions gives the weights that change, as they are after a step.
func (t *Trainer) weightDistributions(step int) error {
	if !t.watched(step) {
		return nil
	}
	for _, s := range t.changing() {
		if err := t.distribution(step, "weights/"+s.Path, s, 1); err != nil {
			return err
		}
	}
	return nil
}

// gradientDistributions gives the gradients that were added up for a part, as
// those of the mean loss; count is what their sum is divided by.
func (t *Trainer) gradientDistributions(step int, update *plan.Plan, part string, count float64) error {
	if !t.watched(step) {
		return nil
	}
	for _, s := range update.States {
		path, ok := strings.CutSuffix(s.Path, "#grad")
		if !ok || s.Kind != ir.Gradient {
			continue
		}
		tag := "gradients/" + strings.TrimPrefix(part+"/"+path, "/")
		if err := t.distribution(step, tag, s, 1/count); err != nil {
			return err
		}
	}
	return nil
}

// distribution gives the values of a state times a factor.
func (t *Trainer) distribution(step int, tag string, s plan.State, factor float64) error {
	data := make([]byte, s.Type.Bytes())
	if err := t.readState(s.Path, data); err != nil {
		return err
	}
	elems := s.Type.Elems()
	n := min(elems, maxDistribution)
	size := s.Type.DType.Size()
	some := make([]byte, 0, n*size)
	for i := range n { // never at one place in all rows
		stretch := elems / n
		at := (i*stretch + int(uint32(i)*2654435761>>8)%stretch) * size
		some = append(some, data[at:at+size]...)
	}
	if n == 0 {
		return nil
	}
	values := make([]float32, 0, n)
	for _, x := range (tensorfile.Tensor{Type: ir.T(s.Type.DType, n), Data: some}).Float64s() {
		values = append(values, float32(x*factor))
	}
	return t.cfg.Distribution(step, tag, values)
}
