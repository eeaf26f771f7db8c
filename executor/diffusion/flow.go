package diffusion

import (
	"math"
)

// flow follows the velocity that a model of flow matching predicts.
//
// Source: arXiv:2210.02747; shifts of time arXiv:2403.03206, section 5.3.2.
type flow struct {
	walk
	sigmas []float64
	x0     []float32
}

func flowDefaults(*Config) {}

func newFlow(_ Config, w walk) (Sampler, error) {
	c, n := w.c, w.calls
	shift := func(s float64) float64 { return c.Shift * s / (1 + (c.Shift-1)*s) }
	low, high := 1/float64(c.TrainSteps), 1.0
	if !c.DynamicShifting {
		low, high = round(shift(round(low))), round(shift(high))
	}
	sigmas := linspace(high, low, n)
	for i, s := range sigmas {
		if c.DynamicShifting {
			sigmas[i] = w.shifted(s)
		} else {
			sigmas[i] = shift(s)
		}
	}
	w.stretch(sigmas)
	if list, ok := w.reshaped(sigmas, n); ok {
		sigmas = list
	}
	last := 0.0
	if c.InvertSigmas {
		last = 1
	}
	for i, s := range sigmas {
		if sigmas[i] = round(s); c.InvertSigmas {
			sigmas[i] = round(1 - sigmas[i])
		}
		w.steps = append(w.steps, round(sigmas[i]*float64(c.TrainSteps)))
	}
	return &flow{walk: w, sigmas: append(sigmas, last)}, nil
}

// stretch moves sigmas so that the last is the one that is set.
func (w *walk) stretch(sigmas []float64) {
	if w.c.ShiftTerminal == nil {
		return
	}
	stretch := (1 - sigmas[len(sigmas)-1]) / (1 - *w.c.ShiftTerminal)
	for i, s := range sigmas {
		sigmas[i] = 1 - (1-s)/stretch
	}
}

// shifted is a sigma, shifted as much as samples of many positions want.
func (w *walk) shifted(s float64) float64 {
	c := w.c
	slope := (c.MaxShift - c.BaseShift) / float64(c.MaxTokens-c.BaseTokens)
	mu := c.BaseShift + slope*float64(w.tokens-c.BaseTokens)
	if c.TimeShift == "exponential" {
		mu = math.Exp(mu)
	}
	return mu / (mu + (1/s - 1))
}

func (s *flow) Noisy(int) bool { return s.c.Stochastic }

func (s *flow) Mix(i int) (signal, noise float64) { return 1 - s.sigmas[i], s.sigmas[i] }

func (s *flow) Original(i int, dst, x, out []float32) { sum(dst, term{1, x}, term{-s.sigmas[i], out}) }

func (s *flow) Next(i int, x, out, noise []float32) {
	next := s.sigmas[i+1]
	if !s.c.Stochastic {
		sum(x, term{1, x}, term{next - s.sigmas[i], out})
		return
	}
	s.x0 = resized(s.x0, x)
	s.Original(i, s.x0, x, out)
	sum(x, term{1 - next, s.x0}, term{next, noise})
}
