package diffusion

import (
	"math"
	"slices"
	"strings"
)

// dpm is DPM-Solver, over the noise or (++) over what is wanted, with or without
// added noise (sde).
//
// Source: arXiv:2206.00927; arXiv:2211.01095, algorithm 2; for sde its appendix.
type dpm struct {
	overLambdas
	sde, wanted bool
}

func dpmDefaults(c *Config) { c.Algorithm, c.SolverType = "dpmsolver++", "midpoint" }

func newDPM(_ Config, w walk) (Sampler, error) {
	algorithms := []string{"dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"}
	switch {
	case w.c.Algorithm == "deis":
		w.c.Algorithm = "dpmsolver++"
	case !slices.Contains(algorithms, w.c.Algorithm):
		return nil, unknown("algorithm_type", w.c.Algorithm, algorithms)
	}
	if w.c.SolverType != "heun" {
		w.c.SolverType = "midpoint"
	}
	s := &dpm{sde: strings.HasPrefix(w.c.Algorithm, "sde"), wanted: strings.HasSuffix(w.c.Algorithm, "++")}
	switch {
	case w.c.Order < 1 || w.c.Order > 3:
		return nil, errorf("dpm: solver_order is %d, want 1 to 3", w.c.Order)
	case w.c.Order == 3 && w.c.Algorithm == "sde-dpmsolver":
		return nil, errorf("dpm: sde-dpmsolver has no order 3; want solver_order 1 or 2")
	case !s.wanted && w.c.FinalSigmas == "zero":
		return nil, errorf(`dpm: final_sigmas_type is "zero", which %s cannot reach; want "sigma_min"`, w.c.Algorithm)
	case !s.wanted && w.c.Prediction == "flow_prediction":
		return nil, errorf("dpm: %s does not read flow_prediction; want dpmsolver++", w.c.Algorithm)
	}
	s.overLambdas = lambdaWalk(w, w.flowSigmas, func(c Config) bool { return (c.Karras || c.Lu) && c.BetaSchedule != "squaredcos_cap_v2" })
	return s, nil
}

func (s *dpm) Noisy(int) bool { return s.sde }

func (s *dpm) Next(i int, x, out, noise []float32) {
	s.predict(i, x, out, s.wanted, s.c.Order)
	n, few := len(s.steps), s.c.LowerOrderFinal && len(s.steps) < 15
	order := min(s.c.Order, s.starts+1)
	if i == n-1 && (s.c.EulerAtFinal || few || s.c.FinalSigmas == "zero") {
		order = 1
	} else if i == n-2 && few {
		order = min(order, 2)
	}
	s.starts = min(s.starts+1, s.c.Order)
	terms := s.change(i, x)
	for k, f := range s.factors(i, order) {
		terms = append(terms, term{f, s.made[k]})
	}
	if s.sde {
		terms = append(terms, term{s.noise(i), noise})
	}
	sum(x, terms...)
}

// change is what is left of the sample.
func (s *dpm) change(i int, x []float32) []term {
	signal0, noise0, l0 := s.parts(i)
	signal, noise, l := s.parts(i + 1)
	switch {
	case s.wanted && s.sde:
		return []term{{noise / noise0 * math.Exp(-(l - l0)), x}}
	case s.wanted:
		return []term{{noise / noise0, x}}
	}
	return []term{{signal / signal0, x}}
}

func (s *dpm) noise(i int) float64 {
	_, _, l0 := s.parts(i)
	_, noise, l := s.parts(i + 1)
	if s.wanted {
		return noise * math.Sqrt(1-math.Exp(-2*(l-l0)))
	}
	return noise * math.Sqrt(math.Exp(2*(l-l0))-1)
}

// factors are what the predictions of this and earlier steps are multiplied by.
func (s *dpm) factors(i, order int) []float64 {
	signal, noise, l := s.parts(i + 1)
	_, _, l0 := s.parts(i)
	h := l - l0
	f0, f1, f2 := s.integrals(signal, noise, h)
	if order == 1 {
		return []float64{f0}
	}
	if order == 2 && s.c.SolverType == "midpoint" {
		f1 = f0 / 2
	}
	_, _, l1 := s.parts(i - 1)
	r0 := (l0 - l1) / h
	if order == 2 { // f0 m0 + f1 (m0-m1)/r0
		return []float64{f0 + f1/r0, -f1 / r0}
	}
	_, _, l2 := s.parts(i - 2)
	r1 := (l1 - l2) / h
	// D10 = (m0-m1)/r0, D11 = (m1-m2)/r1, D1 = D10 + r0/(r0+r1) (D10-D11), D2 = (D10-D11)/(r0+r1)
	a := f1 + (f1*r0+f2)/(r0+r1) // of D10
	b := -(f1*r0 + f2) / (r0 + r1)
	return []float64{f0 + a/r0, -a/r0 + b/r1, -b / r1}
}

// integrals are the factors of a prediction and of its first two derivatives.
func (s *dpm) integrals(signal, noise, h float64) (f0, f1, f2 float64) {
	scale, e := signal, math.Exp(-h) // of what is wanted
	switch {
	case s.wanted && s.sde:
		e2 := math.Exp(-2 * h)
		return scale * (1 - e2), scale * ((1-e2)/(-2*h) + 1), scale * ((1-e2-2*h)/(4*h*h) - 0.5)
	case s.wanted:
		return -scale * (e - 1), scale * ((e-1)/h + 1), -scale * ((e-1+h)/(h*h) - 0.5)
	}
	scale, e = noise, math.Exp(h)
	f0, f1, f2 = -scale*(e-1), -scale*((e-1)/h-1), -scale*((e-1-h)/(h*h)-0.5)
	if s.sde {
		return 2 * f0, 2 * f1, 2 * f2
	}
	return f0, f1, f2
}

// flowSigmas are those of flow matching.
func (w *walk) flowSigmas() (sigmas, steps []float64) {
	for _, a := range linspace(1, 1/float64(w.c.TrainSteps), w.calls+1) {
		s := 1 - a
		sigmas = append(sigmas, w.c.FlowShift*s/(1+(w.c.FlowShift-1)*s))
	}
	slices.Reverse(sigmas)
	sigmas = sigmas[:w.calls]
	for _, s := range sigmas {
		steps = append(steps, s*float64(w.c.TrainSteps))
	}
	return sigmas, steps
}
