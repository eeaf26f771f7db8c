package diffusion

import "slices"

// heun takes an Euler step, and takes it again with the mean of the slopes at
// both of its ends.
//
// Source: arXiv:2206.00364, algorithm 1.
type heun struct {
	overSigmas
	first []float32 // the slope where the step begins; nil between steps
	begun []float32 // the sample there
}

func heunDefaults(c *Config) { c.BetaStart, c.BetaEnd = 0.00085, 0.012 }

func newHeun(_ Config, w walk) (Sampler, error) {
	s, err := sigmaWalk(w)
	if err != nil {
		return nil, err
	}
	twice := func(list []float64) (two []float64) {
		for _, v := range list {
			two = append(two, v, v)
		}
		return two
	}
	n := len(s.steps)
	s.sigmas = append(append(s.sigmas[:1:1], twice(s.sigmas[1:n])...), s.sigmas[n])
	s.steps = append(s.steps[:1:1], twice(s.steps[1:])...)
	return &heun{overSigmas: s}, nil
}

func (s *heun) Order() int { return 2 }

func (s *heun) Next(i int, x, out, _ []float32) {
	s.x0 = resized(s.x0, x)
	if s.first == nil {
		from, to := s.sigmas[i], s.sigmas[i+1]
		s.slope(from, s.x0, x, out)
		s.first, s.begun = slices.Clone(s.x0), slices.Clone(x)
		sum(x, term{1, x}, term{to - from, s.x0})
		return
	}
	from, to := s.sigmas[i-1], s.sigmas[i]
	s.slope(to, s.x0, x, out)
	sum(x, term{1, s.begun}, term{(to - from) / 2, s.first}, term{(to - from) / 2, s.x0})
	s.first, s.begun = nil, nil
}
