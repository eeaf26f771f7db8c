package diffusion

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// unipc predicts as a multistep method does, and corrects each sample once the
// model has been called with it.
//
// Source: arXiv:2302.04867, algorithms 5 to 8.
type unipc struct {
	overLambdas
	before []float32 // the sample that the last step began with; nil if it is not to be corrected
	order  int       // of the last step
}

func unipcDefaults(c *Config) { c.SolverType = "bh2" }

func newUniPC(_ Config, w walk) (Sampler, error) {
	if w.c.SolverType != "bh1" {
		w.c.SolverType = "bh2"
	}
	if w.c.Order < 1 || w.c.Order > 3 {
		return nil, errorf("unipc: solver_order is %d, want 1 to 3", w.c.Order)
	}
	return &unipc{overLambdas: lambdaWalk(w, w.flowFromOne, func(c Config) bool { return c.Karras })}, nil
}

func (s *unipc) Next(i int, x, out, _ []float32) {
	predicted := slices.Clone(s.made)
	s.predict(i, x, out, s.c.PredictX0, s.c.Order+1)
	if s.before != nil && !slices.Contains(s.c.DisableCorrector, i-1) {
		now := s.made[0]
		s.made = predicted
		s.step(x, s.before, i-1, i, s.order, now)
		s.made = slices.Insert(predicted, 0, now)
	}
	s.made = s.made[:min(len(s.made), s.c.Order)]
	order := s.c.Order
	if s.c.LowerOrderFinal {
		order = min(order, len(s.steps)-i)
	}
	s.order = min(order, s.starts+1)
	s.starts = min(s.starts+1, s.c.Order)
	s.before = slices.Clone(x)
	s.step(x, s.before, i, i+1, s.order, nil)
}

// step puts into dst the sample of step to, from x of step from. now is what the
// model predicts there, for a correction.
func (s *unipc) step(dst, x []float32, from, to, order int, now []float32) {
	signal0, noise0, l0 := s.parts(from)
	signal, noise, l := s.parts(to)
	h := l - l0
	ratio, scale, hh := signal/signal0, noise, h
	if s.c.PredictX0 {
		ratio, scale, hh = noise/noise0, signal, -h
	}
	phi := math.Expm1(hh)
	bh := phi
	if s.c.SolverType == "bh1" {
		bh = hh
	}
	var ratios []float64 // of the steps back to this one
	for k := 1; k < order; k++ {
		_, _, lk := s.parts(from - k)
		ratios = append(ratios, (lk-l0)/h)
	}
	rhos := shares(append(slices.Clone(ratios), 1), hh, phi, bh, order, now != nil)
	first := -scale * phi // of the latest prediction
	terms := []term{{ratio, x}}
	for k, r := range ratios {
		f := -scale * bh * rhos[k] / r
		first -= f
		terms = append(terms, term{f, s.made[k+1]})
	}
	if now != nil {
		f := -scale * bh * rhos[order-1]
		first -= f
		terms = append(terms, term{f, now})
	}
	sum(dst, append(terms, term{first, s.made[0]})...)
}

// shares solve for how much each difference of predictions counts.
func shares(ratios []float64, hh, phi, bh float64, order int, corrects bool) []float64 {
	n := order - 1
	if corrects {
		n = order
	}
	switch {
	case n == 0:
		return nil
	case n == 1:
		return []float64{0.5}
	}
	b, k, factorial := make([]float64, n), phi/hh-1, 1.0
	r := mat.NewDense(n, n, nil)
	for i := range n {
		b[i] = k * factorial / bh
		factorial *= float64(i + 2)
		k = k/hh - 1/factorial
		for j := range n {
			r.Set(i, j, math.Pow(ratios[j], float64(i)))
		}
	}
	var x mat.VecDense
	if err := x.SolveVec(r, mat.NewVecDense(n, b)); err != nil {
		return b // the ratios are all different, so that there is a solution
	}
	return x.RawVector().Data
}

// flowFromOne are the sigmas of flow matching, from 1 down, and their timesteps.
func (w *walk) flowFromOne() (sigmas, steps []float64) {
	c := w.c
	sigmas = linspace(1, 1/float64(c.TrainSteps), w.calls+1)[:w.calls]
	for i, s := range sigmas {
		if c.DynamicShifting {
			sigmas[i] = w.shifted(s)
		} else {
			sigmas[i] = c.FlowShift * s / (1 + (c.FlowShift-1)*s)
		}
	}
	w.stretch(sigmas)
	const least = 1e-6 // sigma 1 has no signal to divide by
	if math.Abs(sigmas[0]-1) < least {
		sigmas[0] -= least
	}
	for _, s := range sigmas {
		steps = append(steps, s*float64(c.TrainSteps))
	}
	return sigmas, steps
}
