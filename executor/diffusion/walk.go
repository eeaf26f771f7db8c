package diffusion

import (
	"math"
	"slices"
)

// walk is what samplers share.
type walk struct {
	c      Config
	batch  int
	tokens int
	calls  int       // steps that were asked for
	alphas []float64 // products of 1-beta
	steps  []float64 // timesteps
}

// Kept is how many samples' worth of numbers a sampler keeps between steps, at most.
const Kept = 6

func (w *walk) Timesteps() []float64 { return w.steps }
func (w *walk) Order() int           { return 1 }
func (w *walk) Start() float64       { return 1 }
func (w *walk) Scale(int) float64    { return 1 }
func (w *walk) Noisy(int) bool       { return false }

// Mix is that of samplers over products of 1-beta.
func (w *walk) Mix(i int) (signal, noise float64) {
	a := w.alpha(int(w.steps[i]))
	return math.Sqrt(a), math.Sqrt(1 - a)
}

// alpha is the product at a timestep, and what comes after the last one.
func (w *walk) alpha(t int) float64 {
	if t >= 0 {
		return w.alphas[min(t, len(w.alphas)-1)]
	}
	if w.c.AlphaToOne {
		return 1
	}
	return w.alphas[0]
}

// original gives factors of the sample and of what the model predicts, whose sum
// is what is wanted, for a sample of signal times that plus noise.
func (w *walk) original(signal, noise float64) (x, out float64) {
	switch w.c.Prediction {
	case "sample":
		return 0, 1
	case "v_prediction":
		return signal, -noise
	case "flow_prediction":
		return 1, -noise
	}
	return 1 / signal, -noise / signal
}

// epsilon gives such factors for the noise.
func (w *walk) epsilon(signal, noise float64) (x, out float64) {
	switch w.c.Prediction {
	case "sample":
		return 1 / noise, -signal / noise
	case "v_prediction":
		return noise, signal
	}
	return 0, 1
}

// bound keeps what is wanted within the bounds that are set.
func (w *walk) bound(x []float32) {
	switch {
	case w.c.Thresholding:
		n := len(x) / w.batch
		for i := range w.batch {
			w.threshold(x[i*n : (i+1)*n])
		}
	case w.c.ClipSample:
		r := float32(w.c.ClipRange)
		for i, v := range x {
			x[i] = min(max(v, -r), r)
		}
	}
}

// threshold bounds one sample by a quantile of its own values, and scales it by
// that.
//
// Source: arXiv:2205.11487, section 2.3.
func (w *walk) threshold(x []float32) {
	sorted := make([]float64, len(x))
	for i, v := range x {
		sorted[i] = math.Abs(float64(v))
	}
	slices.Sort(sorted)
	at := w.c.ThresholdRatio * float64(len(x)-1)
	low := int(at)
	high := min(low+1, len(x)-1)
	s := sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
	s = min(max(s, 1), max(w.c.ThresholdSample, 1))
	for i, v := range x {
		x[i] = float32(min(max(float64(v), -s), s) / s)
	}
}

// learned splits what a model predicts into that and a variance, which some
// models give in as many more channels. The second result is nil if there is none.
func (w *walk) learned(x, out []float32) (prediction, variance []float32) {
	if len(out) != 2*len(x) {
		return out, nil
	}
	n := len(x) / w.batch
	for i := range w.batch {
		prediction = append(prediction, out[2*i*n:(2*i+1)*n]...)
		variance = append(variance, out[(2*i+1)*n:(2*i+2)*n]...)
	}
	return prediction, variance
}

// term is values times a factor.
type term struct {
	factor float64
	values []float32
}

// sum puts a sum of terms into dst, which may be one of them. Terms of factor 0
// are not read.
func sum(dst []float32, terms ...term) {
	terms = slices.DeleteFunc(terms, func(t term) bool { return t.factor == 0 })
	for i := range dst {
		s := 0.0
		for _, t := range terms {
			s += t.factor * float64(t.values[i])
		}
		dst[i] = float32(s)
	}
}

// spaced are the timesteps of n steps, the last first, as most samplers space
// them. Those of linspace are whole numbers if whole is true.
func (w *walk) spaced(n int, whole bool) []float64 {
	train := w.c.TrainSteps
	var list []float64
	switch w.c.Spacing {
	case "linspace":
		list = linspace(0, float64(train-1), n)
		slices.Reverse(list)
		for i, t := range list {
			if whole {
				list[i] = math.RoundToEven(t)
			} else {
				list[i] = round(t)
			}
		}
	case "leading":
		for i := n - 1; i >= 0; i-- {
			list = append(list, float64(i*(train/n)+w.c.Offset))
		}
	case "trailing":
		list = trailing(train, train, n)
	}
	return list
}

// trailing are the timesteps from last to the first, which is not 0, in n parts
// of train.
func trailing(last, train, n int) []float64 {
	ratio := float64(train) / float64(n)
	list := make([]float64, int(math.Ceil(float64(last)/ratio)))
	for i := range list {
		list[i] = math.RoundToEven(float64(last)-float64(i)*ratio) - 1
	}
	return list
}
