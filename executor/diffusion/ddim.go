package diffusion

import "math"

// ddim takes long steps along the same chain, without noise unless eta says so.
//
// Source: arXiv:2010.02502, equation 12.
type ddim struct {
	walk
	x0, eps []float32
}

func ddimDefaults(c *Config) { c.ClipSample, c.Spacing = true, "leading" }

func newDDIM(_ Config, w walk) (Sampler, error) {
	w.steps = w.spaced(w.calls, true)
	return &ddim{walk: w}, nil
}

func (s *ddim) Noisy(int) bool { return s.c.Eta > 0 }

func (s *ddim) Original(i int, dst, x, out []float32) {
	a := s.alpha(int(s.steps[i]))
	cx, co := s.original(math.Sqrt(a), math.Sqrt(1-a))
	sum(dst, term{cx, x}, term{co, out})
	s.bound(dst)
}

func (s *ddim) Next(i int, x, out, noise []float32) {
	s.x0, s.eps = resized(s.x0, x), resized(s.eps, x)
	t := int(s.steps[i])
	a, prev := s.alpha(t), s.alpha(t-s.c.TrainSteps/s.calls)
	s.Original(i, s.x0, x, out)
	cx, co := s.epsilon(math.Sqrt(a), math.Sqrt(1-a))
	sum(s.eps, term{cx, x}, term{co, out})
	variance := (1 - prev) / (1 - a) * (1 - a/prev)
	deviation := s.c.Eta * math.Sqrt(variance)
	direction := math.Sqrt(1 - prev - deviation*deviation)
	terms := []term{{math.Sqrt(prev), s.x0}, {direction, s.eps}}
	if s.Noisy(i) {
		terms = append(terms, term{deviation, noise})
	}
	sum(x, terms...)
}
