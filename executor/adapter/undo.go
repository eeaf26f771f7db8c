package adapter

import (
	"bytes"
	"context"
	"errors"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

// Undo writes a copy of a merged model's folder with the adapter taken out.
//
// With Base, it proves that the model is Base with the adapter, and what it
// writes is Base, bit for bit. Without, the difference is subtracted in float64
// and rounded to the element type of the weight, or to DType. The weights of
// the base lie within half a unit in the last place of the merged ones around
// that; where all values within it round to one, this is what was merged. The
// report says how many elements are not so, and bounds the error of theirs.
// That holds of what Merge, or a recipe, has merged.
func Undo(ctx context.Context, o Options) (rep Report, err error) {
	m, err := open(o)
	if err != nil {
		return rep, err
	}
	defer m.close()
	rep.Out, rep.Layers = o.Out, len(m.adapter.Layers)
	if o.Base != "" {
		return m.back(ctx, rep)
	}
	for _, l := range m.adapter.Layers {
		if l.Magnitude {
			return rep, errorf(o.Adapter, "has magnitudes, which scale the weights: without the base they can't be taken out")
		}
	}
	err = m.rewrite(ctx, subtract)
	rep.Changed, rep.Error = m.total.changed, m.total.err
	rep.Unsure, rep.Elements = m.total.unsure, m.total.elements
	rep.Identical = rep.Unsure == 0
	return rep, err
}

// subtract takes the difference from a row, and judges each element.
func subtract(l *LowRank, row int, x, d []float64, w weight, s *share) {
	l.Delta(row, d)
	for i, merged := range x {
		x[i] = merged - d[i]
		s.changed = max(s.changed, math.Abs(d[i]))
		near := halfUnit(merged, w.DType)*(1+0x1p-10) + 0x1p-50*(math.Abs(merged)+math.Abs(d[i]))
		low, high := rounded(x[i]-near, w.to), rounded(x[i]+near, w.to)
		if low == high {
			continue
		}
		s.unsure++
		s.err = max(s.err, near+math.Abs(rounded(x[i], w.to)-x[i]))
	}
}

// halfUnit is half of a unit in the last place of x.
func halfUnit(x float64, t ir.DType) float64 {
	digits, least := 23, -126
	switch t {
	case ir.F64:
		digits, least = 52, -1022
	case ir.BF16:
		digits = 7
	case ir.F16:
		digits, least = 10, -14
	}
	_, e := math.Frexp(x)
	return math.Ldexp(0.5, max(e-1, least)-digits)
}

// rounded is x in an element type.
func rounded(x float64, t ir.DType) float64 {
	return tensorfile.Tensor{Type: ir.T(t, 1), Data: tensorfile.AppendFloats(nil, t, x)}.Float64s()[0]
}

// back proves that the model is the base with the adapter, and copies the base.
func (m *job) back(ctx context.Context, rep Report) (Report, error) {
	o := m.Options
	o.Model, o.DType = m.Base, ir.Invalid
	base, err := open(o)
	if err != nil {
		return rep, err
	}
	defer base.close()
	var problems []error
	for _, t := range base.model.Tensors() {
		merged, ok := m.model.Lookup(m.model.Name(t.Name, m.Prefixes))
		if !ok {
			problems = append(problems, errorf(m.Model, "has no tensor %q, and the base has", t.Name))
			continue
		}
		if err := base.same(ctx, m, t, merged); err != nil {
			if ctx.Err() != nil {
				return rep, ctx.Err()
			}
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return rep, errors.Join(problems[:min(len(problems), 20)]...)
	}
	rep.Changed, rep.Elements, rep.Identical = base.total.changed, base.total.elements, true
	base.adapted = nil
	return rep, base.rewrite(ctx, nil)
}

// same reports a tensor that is not what merging makes of the base's.
func (m *job) same(ctx context.Context, merged *job, t, got checkpoint.Tensor) error {
	have, err := merged.model.View(got.Name)
	if err != nil {
		return err
	}
	var want []byte
	if _, ok := m.adapted[t.Name]; ok {
		want, err = m.values(ctx, weight{t, got.DType}, addition)
	} else {
		want, err = m.model.View(t.Name)
		if err == nil && got.DType != t.DType && t.DType.Float() && got.DType.Float() {
			want = tensorfile.AppendFloats(nil, got.DType, tensorfile.Tensor{Type: t.Type(), Data: want}.Float64s()...)
		}
	}
	if err == nil && !bytes.Equal(have, want) {
		err = errorf(got.File, "tensor %q is not that of %s with the adapter", got.Name, m.Model)
	}
	return err
}
