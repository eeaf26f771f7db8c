package stage

import (
	"context"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/internal/philox"
)

// begin reads the values that the walk needs.
func (w *walk) begin(c *Call) error {
	if _, err := w.inputs(c); err != nil {
		return err
	}
	w.gather()
	w.showControls(c)
	n := size(w.shape)
	read := func(port string, elems int) ([]float32, error) {
		t, ok := c.In[port].(tensorfile.Tensor)
		if !ok {
			return nil, nil
		}
		v := w.rows(t).Float32s()
		if elems > 0 && len(v) != elems {
			return nil, fmt.Errorf("%s is %v, want %v", port, t.Type, ir.T(ir.F32, w.shape...))
		}
		return v, nil
	}
	var err error
	if w.kept, err = read("x", n); err != nil {
		return err
	}
	if w.noise, err = read("noise", n); err != nil {
		return err
	}
	if w.joins {
		if w.beside, err = read("beside", 0); err != nil {
			return err
		}
	}
	if t, ok := c.In["noises"].(tensorfile.Tensor); ok {
		if w.noises, err = w.eachStep(t); err != nil {
			return err
		}
	}
	if w.mask, err = read("mask", 0); err != nil || w.mask == nil {
		return err
	}
	if w.kept == nil {
		return fmt.Errorf("mask says what of x stays, and x is missing")
	}
	plane := n / w.shape[0] / w.shape[1]
	if len(w.mask) != plane*w.shape[0] {
		return fmt.Errorf("mask has %d elements, want %d for each of %d samples", len(w.mask), plane, w.shape[0])
	}
	wide := make([]float32, 0, n)
	for i := range w.shape[0] {
		for range w.shape[1] {
			wide = append(wide, w.mask[i*plane:(i+1)*plane]...)
		}
	}
	if w.mask = wide; w.attr.Strength == 1 {
		w.anew = true
	}
	if w.joins {
		w.mask = nil
	}
	return nil
}

// eachStep is the noise of each step, of the samples that are made.
func (w *walk) eachStep(t tensorfile.Tensor) ([]float32, error) {
	all, steps := t.Float32s(), len(w.sampler.Timesteps())
	n := size(w.shape[1:])
	if len(all) != steps*w.all*n {
		return nil, fmt.Errorf("noises is %v, want [%d, ...%v]", t.Type, steps, append([]int{w.all}, w.shape[1:]...))
	}
	w.own = true
	if len(w.attr.Only) == 0 {
		return all, nil
	}
	var list []float32
	for step := range steps {
		for _, i := range w.attr.Only {
			at := (step*w.all + i) * n
			list = append(list, all[at:at+n]...)
		}
	}
	return list, nil
}

// run makes the steps.
func (w *walk) run(ctx context.Context, c *Call) (Value, error) {
	n, steps := size(w.shape), w.sampler.Timesteps()
	if w.noise == nil {
		w.noise = w.draw(0)
	}
	x := make([]float32, n)
	if w.kept == nil || w.anew {
		for i, v := range w.noise {
			x[i] = float32(float64(v) * w.sampler.Start())
		}
	} else {
		w.mix(x, w.first)
	}
	for i := w.first; i < len(steps); i++ {
		out, err := w.predict(ctx, i, x)
		if err != nil {
			return nil, err
		}
		var noise []float32
		switch {
		case !w.sampler.Noisy(i):
		case w.noises != nil:
			noise = w.noises[i*n : (i+1)*n]
		default:
			noise = w.draw(i + 1)
		}
		if w.preview.shows(i+1-w.first, len(steps)-w.first) {
			if err := w.show(ctx, i, x, out); err != nil {
				return nil, err
			}
		}
		w.sampler.Next(i, x, out, noise)
		w.keep(x, i+1)
		if c.Progress != nil {
			c.Progress(i+1-w.first, len(steps)-w.first)
		}
	}
	return tensorfile.FromFloat32s(c.ID, x, w.shape...), nil
}

// mix puts x with the noise of a step into dst; without noise, after the last.
func (w *walk) mix(dst []float32, step int) {
	signal, noise := 1.0, 0.0
	if step < len(w.sampler.Timesteps()) {
		signal, noise = w.sampler.Mix(step)
	}
	for i, v := range w.kept {
		dst[i] = float32(signal*float64(v) + noise*float64(w.noise[i]))
	}
}

// keep puts x back where the mask keeps it.
func (w *walk) keep(x []float32, step int) {
	if w.mask == nil {
		return
	}
	old := make([]float32, len(x))
	w.mix(old, step)
	for i, m := range w.mask {
		x[i] = (1-m)*old[i] + m*x[i]
	}
}

// mean leaves out variances that a model gives in as many more channels, for a sampler that has no use for them.
func (w *walk) mean(out []float32) []float32 {
	n := size(w.shape[1:])
	if w.variance || len(out) != 2*n*w.shape[0] {
		return out
	}
	means := out[:0]
	for row := range w.shape[0] {
		means = append(means, out[2*row*n:(2*row+1)*n]...)
	}
	return means
}

// guide puts into without what guidance makes of both. Variances that a model learned, in more channels
// than samples have, are those of with.
//
// Source: arXiv:2207.12598; to take contrast back arXiv:2305.08891, section 3.4.
func (w *walk) guide(without, with []float32) {
	g, r := w.attr.Guidance, w.attr.Rescale
	n, own := len(with)/w.shape[0], size(w.shape[1:])
	for row := range w.shape[0] {
		copy(without[row*n+own:(row+1)*n], with[row*n+own:])
		a, b := without[row*n:row*n+own], with[row*n:row*n+own]
		for i, v := range b {
			a[i] = float32(float64(a[i]) + g*(float64(v)-float64(a[i])))
		}
		if r == 0 {
			continue
		}
		f := r*deviation(b)/deviation(a) + 1 - r
		for i, v := range a {
			a[i] = float32(f * float64(v))
		}
	}
}

// deviation is the standard deviation of values.
func deviation(x []float32) float64 {
	mean, sum := 0.0, 0.0
	for _, v := range x {
		mean += float64(v) / float64(len(x))
	}
	for _, v := range x {
		sum += (float64(v) - mean) * (float64(v) - mean)
	}
	return math.Sqrt(sum / float64(len(x)-1))
}

// draw is the noise of the beginning, 0, or of a step, each sample's by its own seed.
func (w *walk) draw(stream int) []float32 {
	n := size(w.shape) / w.shape[0]
	noise := make([]float32, 0, n*w.shape[0])
	for _, seed := range w.seeds {
		for i := range n {
			noise = append(noise, float32(philox.Normal(uint64(seed), uint64(stream)<<32|uint64(i))))
		}
	}
	return noise
}

func size(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}
