package diffusion

import "math"

// euler follows the slope of the sample from one sigma to the next.
//
// Source: arXiv:2206.00364, algorithm 2 without churn.
type euler struct{ overSigmas }

func newEuler(_ Config, w walk) (Sampler, error) {
	s, err := sigmaWalk(w)
	return &euler{s}, err
}

func (s *euler) Next(i int, x, out, _ []float32) {
	s.x0 = resized(s.x0, x)
	s.slope(s.sigmas[i], s.x0, x, out)
	sum(x, term{1, x}, term{s.sigmas[i+1] - s.sigmas[i], s.x0})
}

// ancestral goes below the next sigma, and adds noise to come back to it.
type ancestral struct{ overSigmas }

func newAncestral(_ Config, w walk) (Sampler, error) {
	if w.c.Prediction == "sample" {
		return nil, errorf("euler_ancestral: prediction_type is %q, want epsilon or v_prediction", w.c.Prediction)
	}
	s, err := sigmaWalk(w)
	return &ancestral{s}, err
}

func (s *ancestral) Noisy(i int) bool { return s.sigmas[i+1] > 0 }

func (s *ancestral) Next(i int, x, out, noise []float32) {
	from, to := s.sigmas[i], s.sigmas[i+1]
	up := math.Sqrt(to * to * (from*from - to*to) / (from * from))
	down := math.Sqrt(to*to - up*up)
	s.x0 = resized(s.x0, x)
	s.slope(from, s.x0, x, out)
	terms := []term{{1, x}, {down - from, s.x0}}
	if s.Noisy(i) {
		terms = append(terms, term{up, noise})
	}
	sum(x, terms...)
}
