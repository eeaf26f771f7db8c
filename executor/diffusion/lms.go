package diffusion

import (
	"slices"

	"gonum.org/v1/gonum/integrate/quad"
)

// lms integrates the polynomial through the last slopes.
//
// Source: the linear multistep method of Adams and Bashforth, with steps of any
// lengths; arXiv:2206.00364, section 3.
type lms struct {
	overSigmas
	slopes [][]float32 // the latest first
}

func newLMS(_ Config, w walk) (Sampler, error) {
	s, err := sigmaWalk(w)
	return &lms{overSigmas: s}, err
}

func (s *lms) Next(i int, x, out, _ []float32) {
	const most = 4
	slope := make([]float32, len(x))
	s.slope(s.sigmas[i], slope, x, out)
	s.slopes = slices.Insert(s.slopes, 0, slope)
	s.slopes = s.slopes[:min(len(s.slopes), most)]
	order := min(i+1, most)
	terms := []term{{1, x}}
	for k := range min(order, len(s.slopes)) {
		terms = append(terms, term{s.share(i, k, order), s.slopes[k]})
	}
	sum(x, terms...)
}

// share is the integral over the step of the polynomial that is 1 at the slope k
// steps back and 0 at the others.
func (s *lms) share(i, k, order int) float64 {
	f := func(sigma float64) float64 {
		v := 1.0
		for j := range order {
			if j != k {
				v *= (sigma - s.sigmas[i-j]) / (s.sigmas[i-k] - s.sigmas[i-j])
			}
		}
		return v
	}
	from, to := s.sigmas[i], s.sigmas[i+1] // falling
	return -quad.Fixed(f, to, from, 4, quad.Legendre{}, 0)
}
