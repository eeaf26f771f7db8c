package diffusion

import (
	"math"
	"slices"
	"sort"
)

// overLambdas is a walk over half the logarithm of the ratio of signal to noise.
type overLambdas struct {
	walk
	sigmas []float64   // one more than there are steps
	made   [][]float32 // what earlier steps predicted, the latest first
	starts int         // steps made, up to the order
}

// lambdaWalk spaces sigmas and timesteps. flow gives those of flow matching,
// whole says when timesteps between those of training are rounded.
func lambdaWalk(w walk, flow func() (sigmas, steps []float64), whole func(c Config) bool) overLambdas {
	if w.c.ZeroSNR {
		w.alphas = slices.Clone(w.alphas)
		w.alphas[len(w.alphas)-1] = 1. / (1 << 24)
	}
	steps, trained := w.between(), w.trained()
	falling := slices.Clone(trained)
	slices.Reverse(falling)
	sigmas, ok := w.reshaped(falling, w.calls)
	last := 0.0
	if w.c.FinalSigmas == "sigma_min" {
		last = trained[0]
	}
	switch {
	case ok:
		steps = timestepsOf(trained, sigmas)
	case w.c.Lu: // arXiv:2206.00927, uniform in the logarithm
		sigmas = linspace(round(math.Log(falling[0])), round(math.Log(falling[len(falling)-1])), w.calls)
		for i, v := range sigmas {
			sigmas[i] = math.Exp(v)
		}
		steps = timestepsOf(trained, sigmas)
	case w.c.FlowSigmas:
		sigmas, steps = flow()
	default:
		sigmas = interpolated(trained, steps)
	}
	if (ok || w.c.FlowSigmas) && last > 0 {
		last = sigmas[len(sigmas)-1]
	}
	sigmas = append(sigmas, last)
	for i, s := range sigmas {
		sigmas[i] = round(s)
	}
	for i, t := range steps { // the model is called with whole ones
		if whole(w.c) {
			t = math.RoundToEven(t)
		}
		steps[i] = math.Trunc(t)
	}
	w.steps = steps
	return overLambdas{walk: w, sigmas: sigmas}
}

// between are timesteps as these samplers space them: the last is not 0.
func (w *walk) between() []float64 {
	last := w.c.TrainSteps
	if !math.IsInf(float64(w.c.LambdaMinClipped), -1) { // where the ratio is too small
		last -= sort.Search(len(w.alphas), func(k int) bool {
			a := w.alphas[len(w.alphas)-1-k]
			return math.Log(math.Sqrt(a))-math.Log(math.Sqrt(1-a)) >= float64(w.c.LambdaMinClipped)
		})
	}
	var list []float64
	switch w.c.Spacing {
	case "linspace":
		for _, t := range linspace(0, float64(last-1), w.calls+1) {
			list = append(list, math.RoundToEven(t))
		}
		slices.Reverse(list)
		list = list[:w.calls]
	case "leading":
		for i := w.calls; i > 0; i-- {
			list = append(list, float64(i*(last/(w.calls+1))+w.c.Offset))
		}
	case "trailing":
		list = trailing(last, w.c.TrainSteps, w.calls)
	}
	return list
}

// parts are the signal and the noise of a sample, and lambda.
func (s *overLambdas) parts(i int) (signal, noise, lambda float64) {
	sigma := s.sigmas[i]
	if s.c.FlowSigmas {
		signal, noise = 1-sigma, sigma
	} else {
		signal = 1 / math.Sqrt(sigma*sigma+1)
		noise = sigma * signal
	}
	return signal, noise, math.Log(signal) - math.Log(noise)
}

func (s *overLambdas) Mix(i int) (signal, noise float64) {
	signal, noise, _ = s.parts(i)
	return signal, noise
}

func (s *overLambdas) Original(i int, dst, x, out []float32) {
	signal, noise, _ := s.parts(i)
	out, _ = s.learned(x, out)
	cx, co := s.original(signal, noise)
	sum(dst, term{cx, x}, term{co, out})
	if s.c.Thresholding {
		s.bound(dst)
	}
}

// predict keeps what the model predicts: what is wanted, or the noise.
func (s *overLambdas) predict(i int, x, out []float32, wanted bool, order int) {
	p := make([]float32, len(x))
	signal, noise, _ := s.parts(i)
	if wanted {
		s.Original(i, p, x, out)
	} else {
		out, _ = s.learned(x, out)
		cx, co := s.epsilon(signal, noise)
		sum(p, term{cx, x}, term{co, out})
		if s.c.Thresholding {
			sum(p, term{1 / signal, x}, term{-noise / signal, p})
			s.bound(p)
			sum(p, term{1 / noise, x}, term{-signal / noise, p})
		}
	}
	s.made = slices.Insert(s.made, 0, p)
	s.made = s.made[:min(len(s.made), order)]
}
