package stage

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// control is a network beside the model: it reads what the model reads, and a
// picture, and gives what is added within the model.
type control struct {
	name   string
	model  *model.Model
	plan   *plan.Plan
	inputs []string // that it reads
	sizes  map[string]int
	shown  tensorfile.Tensor
	scale  float64
	from   float64            // share of the steps after which it counts
	until  float64            // and up to which
	depths map[string]float64 // how much each result counts; 1 if it is not said
}

// prepareControls makes the plans of the networks beside the model, for inputs
// that the model has, and adds what they give to these.
func (w *walk) prepareControls(c *Call, inputs map[string]tensorfile.Tensor) error {
	names := slices.Sorted(maps.Keys(c.Maps["controls"]))
	at := func(list []float64, i int, otherwise float64) float64 {
		if i < len(list) {
			return list[i]
		}
		return otherwise
	}
	shown, ok := c.In["shown"].(tensorfile.Tensor)
	for field, list := range map[string][]float64{"scales": w.attr.Scales, "starts": w.attr.Starts, "ends": w.attr.Ends} {
		if len(list) > len(names) {
			return fmt.Errorf("%s has %d numbers, and there are %d controls", field, len(list), len(names))
		}
	}
	switch s := shown.Type.Sizes(); {
	case len(names) == 0:
		return nil
	case c.In["shown"] == nil:
		return errUnknownSizes
	case !ok || len(s) != 4 || s[0] != len(names):
		return fmt.Errorf("shown is %v, want [%d, channels, height, width], a picture for each of controls", shown.Type, len(names))
	}
	own := maps.Clone(inputs)
	own[w.attr.Sample] = tensorfile.Tensor{Name: w.attr.Sample, Type: ir.T(ir.F32, w.shape...)} // without what is beside it
	for i, name := range names {
		m, _ := c.Maps["controls"][name].(*model.Model)
		k := control{name: name, model: m, scale: at(w.attr.Scales, i, 1), from: at(w.attr.Starts, i, 0), until: at(w.attr.Ends, i, 1)}
		own[w.attr.Shown] = tensorfile.Tensor{Name: w.attr.Shown, Type: shown.Type.With(append([]ir.Dim{ir.D(w.shape[0])}, shown.Type.Shape[1:]...)...)}
		if err := k.prepare(own); err != nil {
			return fmt.Errorf("controls.%s: %w", name, err)
		}
		if w.attr.Guess {
			k.guess()
		}
		for _, r := range m.Results(k.plan) {
			inputs[r.Name] = r
		}
		w.controls = append(w.controls, k)
	}
	return nil
}

// showControls gives each network its picture.
func (w *walk) showControls(c *Call) {
	shown, _ := c.In["shown"].(tensorfile.Tensor)
	for i := range w.controls {
		sizes := shown.Type.Sizes()
		n := len(shown.Data) / sizes[0]
		sizes[0] = 1
		one := tensorfile.Tensor{Name: w.attr.Shown, Type: ir.T(shown.Type.DType, sizes...), Data: shown.Data[i*n : (i+1)*n]}
		w.controls[i].shown = repeated(one, w.calls.rows)
	}
}

// prepare makes the plan of a network, of those inputs that it has.
func (k *control) prepare(inputs map[string]tensorfile.Tensor) error {
	wants, err := k.model.Inputs()
	if err != nil {
		return err
	}
	in := map[string]tensorfile.Tensor{}
	for name := range wants {
		if t, ok := inputs[name]; ok {
			in[name] = t
		}
	}
	if k.sizes, err = sizesOf(wants, in); err != nil {
		return err
	}
	k.inputs = slices.Sorted(maps.Keys(in))
	if k.plan, err = k.model.Call(k.sizes, nil, nil, k.inputs...); err != nil {
		return err
	}
	for _, name := range model.Inputs(k.plan) {
		if _, ok := in[name]; !ok {
			return fmt.Errorf("with.%s is missing: the network needs it", name)
		}
	}
	return nil
}

// steer gives what the networks add within the model at a step: the sums of what each
// gives, times how much it counts. in are the inputs of the model, for the rows from one on.
//
// Source: arXiv:2302.05543.
func (w *walk) steer(ctx context.Context, step, from int, in map[string]tensorfile.Tensor) (map[string]tensorfile.Tensor, error) {
	sums := map[string][]float32{}
	types := map[string]ir.Type{}
	done, all := float64(step-w.first), float64(len(w.sampler.Timesteps())-w.first)
	for _, k := range w.controls {
		for _, r := range k.model.Results(k.plan) {
			types[r.Name] = r.Type
		}
		if done/all < k.from || (done+1)/all > k.until || k.scale == 0 || w.attr.Guess && from >= w.shape[0] {
			continue
		}
		own := map[string]tensorfile.Tensor{}
		for _, name := range k.inputs {
			own[name] = in[name]
		}
		own[w.attr.Shown] = k.shown
		outs, err := k.model.Run(ctx, k.plan, own)
		if err != nil {
			return nil, err
		}
		for _, out := range outs {
			v, s := out.Float32s(), sums[out.Name]
			if s == nil {
				s = make([]float32, len(v))
				sums[out.Name] = s
			}
			scale := k.scale
			if depth, ok := k.depths[out.Name]; ok {
				scale *= depth
			}
			for i, x := range v[:w.steered(from, len(v))] {
				s[i] += float32(scale * float64(x))
			}
		}
	}
	list := map[string]tensorfile.Tensor{}
	for name, t := range types {
		s := sums[name]
		if s == nil {
			s = make([]float32, size(t.Sizes()))
		}
		list[name] = tensorfile.FromFloat32s(name, s, t.Sizes()...)
	}
	return list, nil
}

// steered is how many of the values of rows from one on a network adds to: all, or, where it guesses, those of
// predictions with the inputs that guide.
func (w *walk) steered(from, n int) int {
	if rows := w.shape[0] - from; w.attr.Guess && rows < w.calls.rows {
		return n / w.calls.rows * rows
	}
	return n
}

// guess lets what is added to the first layers of the model count a tenth, and what comes deeper more, up to all
// in the middle. Networks whose results are averaged over the picture count in full everywhere.
func (k *control) guess() {
	results := k.model.Results(k.plan)
	var numbered []string
	for _, r := range results {
		s := r.Type.Sizes()
		if len(s) == 4 && s[2]*s[3] > 1 && strings.Trim(r.Name[strings.LastIndexByte(r.Name, '.')+1:], "0123456789") == "" {
			numbered = append(numbered, r.Name)
		}
	}
	if len(numbered) != len(results)-1 { // all but that of the middle
		return
	}
	k.depths = map[string]float64{}
	for _, name := range numbered {
		i, _ := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:]) // digits
		k.depths[name] = math.Pow(10, float64(i)/float64(len(numbered))-1)
	}
}
