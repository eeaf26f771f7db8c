package diffusion

import "math"

// ddpm goes back along the chain that the model is trained on.
//
// Source: arXiv:2006.11239, equation 7; learned variances arXiv:2102.09672.
type ddpm struct {
	walk
	x0 []float32
}

func ddpmDefaults(c *Config) {
	c.ClipSample, c.Spacing, c.Variance = true, "leading", "fixed_small"
}

func newDDPM(_ Config, w walk) (Sampler, error) {
	w.c.AlphaToOne = true
	w.steps = w.spaced(w.calls, true)
	return &ddpm{walk: w}, nil
}

func (s *ddpm) Noisy(i int) bool { return s.steps[i] > 0 }

func (s *ddpm) Original(i int, dst, x, out []float32) {
	a := s.alpha(int(s.steps[i]))
	out, _ = s.learned(x, out)
	cx, co := s.original(math.Sqrt(a), math.Sqrt(1-a))
	sum(dst, term{cx, x}, term{co, out})
	s.bound(dst)
}

func (s *ddpm) Next(i int, x, out, noise []float32) {
	s.x0 = resized(s.x0, x)
	s.Original(i, s.x0, x, out)
	before := -1
	if i+1 < len(s.steps) {
		before = int(s.steps[i+1])
	}
	a, prev := s.alpha(int(s.steps[i])), s.alpha(before)
	beta := 1 - a/prev
	sum(x, term{math.Sqrt(prev) * beta / (1 - a), s.x0}, term{math.Sqrt(a/prev) * (1 - prev) / (1 - a), x})
	if !s.Noisy(i) {
		return
	}
	small := max((1-prev)/(1-a)*beta, 1e-20)
	_, learned := s.learned(x, out)
	for j := range x {
		var predicted float64
		if learned != nil {
			predicted = float64(learned[j])
		}
		x[j] = float32(float64(x[j]) + s.deviation(small, beta, predicted)*float64(noise[j]))
	}
}

// deviation is the standard deviation of the noise that is added: small and
// large are the bounds of its variance.
func (s *ddpm) deviation(small, large, predicted float64) float64 {
	switch s.c.Variance {
	case "fixed_large":
		return math.Sqrt(large)
	case "fixed_large_log":
		return math.Sqrt(math.Log(large))
	case "learned":
		return math.Sqrt(predicted)
	case "learned_range":
		frac := (predicted + 1) / 2
		return math.Exp(0.5 * (frac*math.Log(large) + (1-frac)*math.Log(small)))
	}
	return math.Sqrt(small)
}

// resized is a slice as long as x.
func resized(s, x []float32) []float32 {
	if len(s) != len(x) {
		return make([]float32, len(x))
	}
	return s
}
