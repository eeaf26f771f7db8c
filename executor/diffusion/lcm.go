package diffusion

import (
	"math"
	"slices"
)

// lcm goes to the end in one step, and back by adding noise.
//
// Source: arXiv:2310.04378, algorithm 3.
type lcm struct {
	walk
	x0 []float32
}

func lcmDefaults(c *Config) {
	c.BetaStart, c.BetaEnd, c.BetaSchedule, c.Spacing = 0.00085, 0.012, "scaled_linear", "leading"
}

func newLCM(_ Config, w walk) (Sampler, error) {
	origin := w.c.OriginalSteps
	if origin < 1 || origin > w.c.TrainSteps {
		return nil, errorf("lcm: original_inference_steps is %d, want 1 to %d", origin, w.c.TrainSteps)
	}
	if w.calls > origin {
		return nil, errorf("lcm: %d steps, but original_inference_steps is %d", w.calls, origin)
	}
	stride := w.c.TrainSteps / origin
	trained := make([]float64, origin)
	for i := range trained {
		trained[i] = float64((i+1)*stride - 1)
	}
	slices.Reverse(trained)
	for i := range w.calls {
		w.steps = append(w.steps, trained[int(float64(i)*(float64(origin)/float64(w.calls)))])
	}
	return &lcm{walk: w}, nil
}

func (s *lcm) Noisy(i int) bool { return i != len(s.steps)-1 }

// Original is what a consistency model says, which keeps a share of the sample.
func (s *lcm) Original(i int, dst, x, out []float32) {
	const data = 0.5 // the standard deviation of what is wanted
	a := s.alpha(int(s.steps[i]))
	cx, co := s.original(math.Sqrt(a), math.Sqrt(1-a))
	sum(dst, term{cx, x}, term{co, out})
	s.bound(dst)
	t := s.steps[i] * s.c.TimestepScaling
	sum(dst, term{t / math.Sqrt(t*t+data*data), dst}, term{data * data / (t*t + data*data), x})
}

func (s *lcm) Next(i int, x, out, noise []float32) {
	s.x0 = resized(s.x0, x)
	s.Original(i, s.x0, x, out)
	copy(x, s.x0)
	if s.Noisy(i) {
		prev := s.alpha(int(s.steps[i+1]))
		sum(x, term{math.Sqrt(prev), x}, term{math.Sqrt(1 - prev), noise})
	}
}
