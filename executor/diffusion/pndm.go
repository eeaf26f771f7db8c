package diffusion

import (
	"math"
	"slices"
)

// pndm is a linear multistep method of order 4 along the chain, whose first
// steps are Runge-Kutta's unless they are skipped.
//
// Source: arXiv:2202.09778, equations 11 to 13.
type pndm struct {
	walk
	runge   int         // how many calls are Runge-Kutta's
	made    int         // calls so far
	history [][]float32 // predictions, the latest last
	mean    []float32   // of the predictions of a Runge-Kutta step
	begun   []float32   // the sample that the step began with
}

func pndmDefaults(c *Config) { c.AlphaToOne, c.Spacing = false, "leading" }

func newPNDM(_ Config, w walk) (Sampler, error) {
	if w.c.Prediction != "epsilon" && w.c.Prediction != "v_prediction" {
		return nil, errorf("pndm: prediction_type is %q, want epsilon or v_prediction", w.c.Prediction)
	}
	s := &pndm{walk: w}
	list := s.spaced(w.calls, true) // the largest first
	n := len(list)
	if w.c.SkipPRK {
		if n < 2 {
			return nil, errorf("pndm: %d steps, want at least 2", w.calls)
		}
		s.steps = append([]float64{list[0], list[1]}, list[1:]...)
		return s, nil
	}
	if n < 4 {
		return nil, errorf("pndm: %d steps, want at least 4, or skip_prk_steps", w.calls)
	}
	half := float64(w.c.TrainSteps / w.calls / 2)
	for i, t := range list[:3] {
		s.steps = append(s.steps, t, list[i+1]+half, list[i+1]+half, list[i+1])
	}
	s.runge = len(s.steps)
	s.steps = append(s.steps, list[3:]...)
	return s, nil
}

func (s *pndm) Original(i int, dst, x, out []float32) {
	a := s.alpha(int(s.steps[i]))
	cx, co := s.original(math.Sqrt(a), math.Sqrt(1-a))
	sum(dst, term{cx, x}, term{co, out})
}

func (s *pndm) Next(i int, x, out, _ []float32) {
	if s.made < s.runge {
		s.rungeKutta(int(s.steps[i]), x, out)
	} else {
		s.multistep(int(s.steps[i]), x, out)
	}
	s.made++
}

func (s *pndm) rungeKutta(t int, x, out []float32) {
	stride, part := s.c.TrainSteps/s.calls, s.made%4
	before := t
	if part%2 == 0 {
		before = t - stride/2
	}
	t = int(s.steps[s.made/4*4])
	if part == 0 {
		s.begun, s.mean = slices.Clone(x), make([]float32, len(x))
		s.history = append(s.history, slices.Clone(out))
	}
	sum(s.mean, term{1, s.mean}, term{[]float64{1. / 6, 1. / 3, 1. / 3, 1. / 6}[part], out})
	if part == 3 {
		out = s.mean
	}
	copy(x, s.begun)
	s.move(x, out, t, before)
}

func (s *pndm) multistep(t int, x, out []float32) {
	stride := s.c.TrainSteps / s.calls
	before := t - stride
	if s.made != 1 {
		s.history = append(slices.Delete(s.history, 0, max(len(s.history)-3, 0)), slices.Clone(out))
	} else {
		t, before = t+stride, t
	}
	h := func(back int) []float32 { return s.history[len(s.history)-1-back] }
	mean := make([]float32, len(x))
	switch n := len(s.history); {
	case n == 1 && s.made == 0:
		copy(mean, out)
		s.begun = slices.Clone(x)
	case n == 1:
		sum(mean, term{0.5, out}, term{0.5, h(0)})
		copy(x, s.begun)
	case n == 2:
		sum(mean, term{3. / 2, h(0)}, term{-1. / 2, h(1)})
	case n == 3:
		sum(mean, term{23. / 12, h(0)}, term{-16. / 12, h(1)}, term{5. / 12, h(2)})
	default:
		sum(mean, term{55. / 24, h(0)}, term{-59. / 24, h(1)}, term{37. / 24, h(2)}, term{-9. / 24, h(3)})
	}
	s.move(x, mean, t, before)
}

// move takes a sample from one timestep to another, as the prediction says.
func (s *pndm) move(x, out []float32, t, before int) {
	a, prev := s.alpha(t), s.alpha(before)
	cx, co := s.epsilon(math.Sqrt(a), math.Sqrt(1-a))
	f := -(prev - a) / (a*math.Sqrt(1-prev) + math.Sqrt(a*(1-a)*prev))
	sum(x, term{math.Sqrt(prev/a) + f*cx, x}, term{f * co, out})
}
