package stage

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// growth is how many times longer than the first the windows get, each twice the one before:
// what surrounds a window is computed anew, which costs less of a long one.
const growth = 8

// windows is a call of a model whose result is handed on in parts, each computed from a window of
// the inputs: the part and what the model looks at around it, so that the numbers are those of the whole.
type windows struct {
	model         *model.Model
	attr          RunAttr
	given         []string           // names of inputs
	inputs        map[string]ir.Type // with named sizes
	result        ir.Type            // too
	sizes         map[string]int     // of the whole
	before, after int                // what the model looks at, in the size that the windows go along
	lengths       []int              // of windows with what is around them, ascending
	plans         map[int]*plan.Plan // by length
}

// newWindows asks for the plans of a call of these sizes with the given inputs.
func newWindows(m *model.Model, sizes map[string]int, a RunAttr, given []string) (*windows, error) {
	w := &windows{model: m, attr: a, given: given, sizes: sizes, plans: map[int]*plan.Plan{}}
	var err error
	if w.inputs, err = m.Inputs(); err != nil {
		return nil, err
	}
	results, err := m.OutputTypes(a.Outputs, a.Take, given...)
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("window: the model gives %d results, and one is handed on in parts: name it in outputs", len(results))
	}
	if a.Tile > 0 || a.AtOnce > 0 {
		return nil, fmt.Errorf("window goes with neither tile nor at_once")
	}
	w.result = results[0]
	if w.before, w.after, err = m.Reach(a.Along, a.Outputs, a.Take, given...); err != nil {
		return nil, fmt.Errorf("window: the model can't be computed in parts along %q (window 0 computes the whole): %w", a.Along, err)
	}
	for n := a.Window; n <= growth*a.Window; n *= 2 {
		if n+w.before+w.after <= w.whole() {
			w.lengths = append(w.lengths, n+w.before+w.after)
		}
	}
	if len(w.lengths) == 0 {
		w.lengths = []int{w.whole()}
	}
	return w, w.ask()
}

// whole is how long the whole is.
func (w *windows) whole() int { return w.sizes[w.attr.Along] }

// ask asks for the plans of all lengths.
func (w *windows) ask() error {
	for _, n := range w.lengths {
		sizes := maps.Clone(w.sizes)
		sizes[w.attr.Along] = n
		p, err := w.model.Call(sizes, w.attr.Outputs, w.attr.Take, w.given...)
		if err != nil {
			return err
		}
		w.plans[n] = p
	}
	return nil
}

// exactly gives the windows of inputs that are shorter than what was promised.
func (w *windows) exactly(in map[string]tensorfile.Tensor) (*windows, error) {
	sizes, err := sizesOf(w.inputs, in)
	if err != nil || maps.Equal(sizes, w.sizes) {
		return w, err
	}
	for name, n := range sizes {
		if n > w.sizes[name] {
			return nil, fmt.Errorf("%s is %d, and %d was promised", name, n, w.sizes[name])
		}
	}
	now := *w
	now.sizes, now.plans = sizes, map[int]*plan.Plan{}
	if now.lengths = slices.DeleteFunc(slices.Clone(w.lengths), func(n int) bool { return n > now.whole() }); len(now.lengths) == 0 {
		now.lengths = []int{now.whole()}
	}
	return &now, now.ask()
}

// smaller leaves out the longest windows, if there are several; results stay the same.
func (w *windows) smaller() bool {
	k := len(w.lengths) - 1
	if k == 0 {
		return false
	}
	w.model.Forget(w.plans[w.lengths[k]])
	delete(w.plans, w.lengths[k])
	w.lengths = w.lengths[:k]
	return true
}

// window is a stretch that is computed, and the part of it that is handed on, in the size that windows go along.
type window struct{ from, to, first, end int }

// cover are the windows of the whole. Each is one of the lengths, so that a few plans do: the
// last one begins as early as it must.
func (w *windows) cover() []window {
	var list []window
	whole := w.whole()
	for done, k := 0, 0; done < whole; k = min(k+1, len(w.lengths)-1) {
		next := window{from: max(0, done-w.before), first: done}
		for k > 0 && whole-next.from <= w.lengths[k-1] {
			k--
		}
		if next.to = next.from + w.lengths[k]; next.to >= whole {
			next.to, next.from = whole, whole-w.lengths[k]
		}
		if next.end = next.to - w.after; next.to == whole {
			next.end = whole
		}
		list = append(list, next)
		done = next.end
	}
	return list
}

// types has the whole result, without its values.
func (w *windows) types() []tensorfile.Tensor {
	list := w.model.Results(w.plans[w.lengths[0]])
	list[0].Type = w.result.Bind(w.sizes)
	return list
}

// run hands on the parts while they are computed.
func (w *windows) run(ctx context.Context, in map[string]tensorfile.Tensor, progress func(done, total int)) Flow {
	axis, per := axisOf(w.result, w.attr.Along)
	list := w.cover()
	return Flow{Whole: w.types()[0], Axis: axis, Parts: func(yield func(tensorfile.Tensor, error) bool) {
		for i, at := range list {
			part := map[string]tensorfile.Tensor{}
			for name, t := range in {
				if axis, per := axisOf(w.inputs[name], w.attr.Along); axis >= 0 {
					t = stretchOf(t, axis, per*at.from, per*at.to)
				}
				part[name] = t
			}
			out, err := w.model.Run(ctx, w.plans[at.to-at.from], part)
			if err != nil {
				yield(tensorfile.Tensor{}, err)
				return
			}
			if progress != nil {
				progress(i+1, len(list))
			}
			if !yield(stretchOf(out[0], axis, per*(at.first-at.from), per*(at.end-at.from)), nil) {
				return
			}
		}
	}}
}

// axisOf is the axis of a type that goes by a named size, and how many elements it has for each of it; -1 if there is none.
func axisOf(t ir.Type, size string) (axis, per int) {
	for i, d := range t.Shape {
		if d.Syms == size {
			return i, d.N
		}
	}
	return -1, 0
}

// stretchOf are the elements from one to another, without that, along an axis of a tensor.
func stretchOf(t tensorfile.Tensor, axis, from, to int) tensorfile.Tensor {
	sizes := t.Type.Sizes()
	n := sizes[axis]
	sizes[axis] = to - from
	out := tensorfile.Tensor{Name: t.Name, Type: ir.T(t.Type.DType, sizes...)}
	row := len(t.Data) / max(1, size(sizes[:axis])*n)
	for at := 0; at < len(t.Data); at += n * row {
		out.Data = append(out.Data, t.Data[at+from*row:at+to*row]...)
	}
	return out
}

// ownBytes is the memory of running besides inputs, results and the model's own: a window of each.
func (w *windows) ownBytes() int64 {
	sizes := maps.Clone(w.sizes)
	sizes[w.attr.Along] = w.lengths[len(w.lengths)-1]
	sum := 2 * w.result.Bind(sizes).Bytes()
	for _, t := range w.inputs {
		sum += t.Bind(sizes).Bytes()
	}
	return sum
}
