package stage

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/diffusion"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// calls is how a step asks for predictions: those of all samples and then, where it guides,
// those of all samples without what guides are rows of one batch, of which some are computed at
// once. A row has the same bits whatever stands beside it.
type calls struct {
	plan   *plan.Plan
	wants  map[string]ir.Type // inputs of the model, with named sizes
	given  []string           // names of inputs
	sizes  map[string]int     // for all samples
	rows   int                // at once
	whole  int                // rows that may be computed at once: all, or those of all samples
	total  int                // rows of a step
	values map[string]tensorfile.Tensor
}

// prepareCalls asks for the plan of inputs of all samples.
func (w *walk) prepareCalls(inputs map[string]tensorfile.Tensor) error {
	k := &w.calls
	var err error
	if k.wants, err = w.model.Inputs(); err != nil {
		return err
	}
	k.given = slices.Sorted(maps.Keys(inputs))
	for _, name := range k.given {
		if _, ok := k.wants[name]; !ok {
			return unknownInput(name, k.wants)
		}
	}
	if k.sizes, err = sizesOf(k.wants, inputs); err != nil {
		return err
	}
	k.whole, k.total = w.shape[0], w.shape[0]
	if w.without != nil {
		k.total *= 2
	}
	rowwise, err := w.rowwise()
	if err != nil {
		return err
	}
	if rowwise && !w.apart() {
		k.whole = k.total
	}
	if err := w.ask(k.whole); err != nil {
		return err
	}
	for _, name := range model.Inputs(k.plan) {
		if _, ok := inputs[name]; !ok {
			return fmt.Errorf("with.%s is missing: the model needs it", name)
		}
	}
	if len(k.plan.Outputs) != 1 {
		return fmt.Errorf("the model has %d outputs, want one", len(k.plan.Outputs))
	}
	return nil
}

// rowwise reports whether the model, and the networks beside it, compute each row of a batch of its own.
func (w *walk) rowwise() (bool, error) {
	results, err := w.model.OutputTypes(nil, nil, w.calls.given...)
	if err != nil || !rowwise(results, w.calls.wants) {
		return false, err
	}
	for _, k := range w.controls {
		wants, err := k.model.Inputs()
		if err != nil {
			return false, err
		}
		results, err := k.model.OutputTypes(nil, nil, k.inputs...)
		if err != nil || !rowwise(results, wants) {
			return false, err
		}
	}
	return true, nil
}

// apart reports whether what guides is no row of a batch, so that predictions with it and
// without it are different calls.
func (w *walk) apart() bool {
	for name := range w.without {
		if !w.calls.byRow(name) {
			return true
		}
	}
	return false
}

// byRow reports whether an input has a row for each of the batch.
func (k *calls) byRow(name string) bool {
	t := k.wants[name]
	return t.Rank() > 0 && t.Shape[0].Syms == batchSize
}

// ask asks for plans of so many rows at once.
func (w *walk) ask(rows int) error {
	of := func(m *model.Model, old *plan.Plan, sizes map[string]int, given []string) (*plan.Plan, error) {
		if old != nil {
			m.Forget(old)
		}
		sizes = maps.Clone(sizes)
		if _, ok := sizes[batchSize]; ok {
			sizes[batchSize] = rows
		}
		return m.Call(sizes, nil, nil, given...)
	}
	var err error
	if w.calls.plan, err = of(w.model, w.calls.plan, w.calls.sizes, w.calls.given); err != nil {
		return err
	}
	for i := range w.controls {
		k := &w.controls[i]
		if k.plan, err = of(k.model, k.plan, k.sizes, k.inputs); err != nil {
			return fmt.Errorf("controls.%s: %w", k.name, err)
		}
	}
	w.calls.rows = rows
	return nil
}

// smaller asks for plans of fewer rows at once, if there are any; results stay the same.
func (w *walk) smaller() (bool, error) {
	k := &w.calls
	if ok, err := w.rowwise(); err != nil || !ok || k.rows < 2 {
		return false, err
	}
	return true, w.ask(divisor(k.whole, k.rows/2))
}

// gather puts the inputs that stay the same together, for all rows.
func (w *walk) gather() {
	w.calls.values = maps.Clone(w.with)
	for name, t := range w.with {
		other, differs := w.without[name]
		switch {
		case w.calls.total == w.shape[0] || !w.calls.byRow(name):
			continue
		case !differs:
			other = t
		}
		sizes := t.Type.Sizes()
		sizes[0] *= 2
		w.calls.values[name] = tensorfile.Tensor{Name: name, Type: ir.T(t.Type.DType, sizes...), Data: slices.Concat(t.Data, other.Data)}
	}
}

// value is an input that stays the same, of the rows from one on that are computed at once.
func (w *walk) value(name string, from int) tensorfile.Tensor {
	t := w.calls.values[name]
	if w.calls.byRow(name) {
		return someRows(t, w.calls.wants[name], from, w.calls.rows)
	}
	if other, ok := w.without[name]; ok && from >= w.shape[0] {
		return other
	}
	return t
}

// predict calls the model for all rows of a step, and guides.
func (w *walk) predict(ctx context.Context, step int, x []float32) ([]float32, error) {
	scale := w.sampler.Scale(step)
	scaled := make([]float32, len(x))
	for i, v := range x {
		scaled[i] = float32(scale * float64(v))
	}
	var all []float32
	for from := 0; from < w.calls.total; from += w.calls.rows {
		out, err := w.call(ctx, step, scaled, from)
		if err != nil {
			return nil, err
		}
		all = append(all, out...)
	}
	if w.without == nil {
		return w.mean(all), nil
	}
	with, without := all[:len(all)/2], all[len(all)/2:]
	w.guide(without, with)
	return w.mean(without), nil
}

// call runs the model for the rows from one on that are computed at once.
func (w *walk) call(ctx context.Context, step int, sample []float32, from int) ([]float32, error) {
	rows := w.calls.rows
	shape := slices.Clone(w.shape)
	shape[0] = rows
	in := map[string]tensorfile.Tensor{
		w.attr.Sample:   tensorfile.FromFloat32s(w.attr.Sample, w.rowsOf(sample, nil, from), shape...),
		w.attr.Timestep: tensorfile.FromFloat32s(w.attr.Timestep, slices.Repeat([]float32{float32(w.sampler.Timesteps()[step])}, rows), rows),
	}
	for name := range w.calls.values {
		in[name] = w.value(name, from)
	}
	more, err := w.steer(ctx, step, from, in)
	if err != nil {
		return nil, err
	}
	maps.Copy(in, more)
	if w.beside != nil {
		shape[1] += len(w.beside) * shape[1] / len(sample)
		in[w.attr.Sample] = tensorfile.FromFloat32s(w.attr.Sample, w.rowsOf(sample, w.beside, from), shape...)
	}
	outs, err := w.model.Run(ctx, w.calls.plan, in)
	if err != nil {
		return nil, err
	}
	return outs[0].Float32s(), nil
}

// rowsOf are the samples of the rows from one on that are computed at once, each with the channels beside it.
func (w *walk) rowsOf(sample, beside []float32, from int) []float32 {
	own, more := len(sample)/w.shape[0], len(beside)/w.shape[0]
	all := make([]float32, 0, w.calls.rows*(own+more))
	for row := from; row < from+w.calls.rows; row++ {
		i := row % w.shape[0]
		all = append(append(all, sample[i*own:(i+1)*own]...), beside[i*more:(i+1)*more]...)
	}
	return all
}

// ownBytes is what the walk holds while the model runs: samples and what the sampler keeps of them, inputs for
// all rows, and what networks beside the model give.
func (w *walk) ownBytes(c *Call) int64 {
	const noiseWalkedScaled = 3
	sample := 4 * int64(size(w.shape))
	row := sample / int64(w.shape[0])
	sum := sample*int64(noiseWalkedScaled+diffusion.Kept) + row*int64(w.calls.total+4*w.calls.rows) // predictions, and samples and results of a call twice, as they are copied
	for _, port := range []string{"x", "mask", "mask", "beside", "noises"} {                        // a mask for each channel
		if t, ok := c.In[port].(tensorfile.Tensor); ok {
			held := 4 * int64(size(t.Type.Sizes()))
			if port == "mask" {
				held = sample
			}
			sum += held
		}
	}
	for name, t := range w.with {
		if w.calls.total > w.shape[0] && w.calls.byRow(name) {
			sum += 2 * t.Type.Bytes()
		}
	}
	shown, _ := c.In["shown"].(tensorfile.Tensor)
	for _, k := range w.controls {
		sum += shown.Type.Bytes() / int64(len(w.controls)) * int64(w.calls.rows)
		for _, r := range k.model.Results(k.plan) {
			sum += 4 * r.Type.Bytes() // what one gives, as numbers, and their sums likewise
		}
	}
	return sum
}
