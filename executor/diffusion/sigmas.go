package diffusion

import (
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/mathext"
)

// trained are the ratios of noise to signal of each step of training, in
// float32.
func (w *walk) trained() []float64 {
	list := make([]float64, len(w.alphas))
	for i, a := range w.alphas {
		list[i] = round(math.Sqrt(round(round(1-a) / a)))
	}
	return list
}

// interpolated are the sigmas at timesteps between those of training.
func interpolated(trained, steps []float64) []float64 {
	list := make([]float64, len(steps))
	for i, t := range steps {
		low := int(min(max(t, 0), float64(len(trained)-1)))
		high := min(low+1, len(trained)-1)
		frac := min(max(t-float64(low), 0), 1)
		list[i] = trained[low] + (trained[high]-trained[low])*frac
	}
	return list
}

// reshaped are n sigmas from the first to the last of list, as the settings
// space them. ok says whether they do.
func (w *walk) reshaped(list []float64, n int) (sigmas []float64, ok bool) {
	low, high := list[len(list)-1], list[0]
	if w.c.SigmaMin != nil {
		low = *w.c.SigmaMin
	}
	if w.c.SigmaMax != nil {
		high = *w.c.SigmaMax
	}
	switch {
	case w.c.Karras: // arXiv:2206.00364, equation 5
		const rho = 7
		sigmas = linspace(math.Pow(high, 1./rho), math.Pow(low, 1./rho), n)
		for i, v := range sigmas {
			sigmas[i] = math.Pow(v, rho)
		}
	case w.c.Exponential:
		sigmas = linspace(math.Log(high), math.Log(low), n)
		for i, v := range sigmas {
			sigmas[i] = math.Exp(v)
		}
	case w.c.Beta: // arXiv:2407.12173, quantiles of Beta(0.6, 0.6)
		for _, p := range linspace(1, 0, n) {
			sigmas = append(sigmas, low+mathext.InvRegIncBeta(0.6, 0.6, p)*(high-low))
		}
	default:
		return nil, false
	}
	return sigmas, true
}

// timestepsOf are the timesteps at which training has given sigmas, between its
// steps in the logarithm.
func timestepsOf(trained, sigmas []float64) []float64 {
	logs := make([]float64, len(trained))
	for i, s := range trained {
		logs[i] = round(math.Log(s))
	}
	list := make([]float64, len(sigmas))
	for i, s := range sigmas {
		v := math.Log(max(s, 1e-10))
		low := min(max(sort.Search(len(logs), func(k int) bool { return logs[k] > v })-1, 0), len(logs)-2)
		frac := min(max((logs[low]-v)/(logs[low]-logs[low+1]), 0), 1)
		list[i] = (1-frac)*float64(low) + frac*float64(low+1)
	}
	return list
}

// overSigmas is a walk whose samples are what is wanted plus noise times sigma.
type overSigmas struct {
	walk
	sigmas []float64 // of the steps, and what comes after the last
	x0     []float32
}

func sigmaDefaults(*Config) {}

// sigmaWalk spaces sigmas and timesteps.
func sigmaWalk(w walk) (overSigmas, error) {
	if w.c.ZeroSNR {
		w.alphas = slices.Clone(w.alphas)
		w.alphas[len(w.alphas)-1] = 1. / (1 << 24) // no division by 0
	}
	steps, trained := w.spaced(w.calls, false), w.trained()
	sigmas := interpolated(trained, steps)
	if w.c.Interpolate == "log_linear" {
		sigmas = linspace(math.Log(trained[len(trained)-1]), math.Log(trained[0]), w.calls+1)
		for i, v := range sigmas {
			sigmas[i] = math.Exp(v)
		}
	}
	if reshaped, ok := w.reshaped(sigmas, w.calls); ok {
		sigmas, steps = reshaped, timestepsOf(trained, reshaped)
	}
	last := 0.0
	if w.c.FinalSigmas == "sigma_min" {
		last = trained[0]
	}
	sigmas = append(slices.Clip(sigmas), last)
	for i, s := range sigmas {
		sigmas[i] = round(s)
	}
	if w.c.TimestepType == "continuous" && w.c.Prediction == "v_prediction" {
		for i := range steps {
			steps[i] = 0.25 * math.Log(sigmas[i])
		}
	}
	for i, t := range steps {
		steps[i] = round(t)
	}
	w.steps = steps
	return overSigmas{walk: w, sigmas: sigmas}, nil
}

func (s *overSigmas) Start() float64 {
	most := slices.Max(s.sigmas)
	if s.c.Spacing == "leading" {
		return math.Sqrt(most*most + 1)
	}
	return most
}

func (s *overSigmas) Scale(i int) float64 { return 1 / math.Sqrt(s.sigmas[i]*s.sigmas[i]+1) }

func (s *overSigmas) Mix(i int) (signal, noise float64) { return 1, s.sigmas[i] }

func (s *overSigmas) Original(i int, dst, x, out []float32) { s.wanted(s.sigmas[i], dst, x, out) }

// wanted is what the model says of a sample with noise of sigma.
func (s *overSigmas) wanted(sigma float64, dst, x, out []float32) {
	switch s.c.Prediction {
	case "sample":
		copy(dst, out)
	case "v_prediction":
		sum(dst, term{1 / (sigma*sigma + 1), x}, term{-sigma / math.Sqrt(sigma*sigma+1), out})
	default:
		sum(dst, term{1, x}, term{-sigma, out})
	}
}

// slope is the derivative of the sample by sigma.
func (s *overSigmas) slope(sigma float64, dst, x, out []float32) {
	s.wanted(sigma, dst, x, out)
	if s.c.ClipSample {
		s.bound(dst)
	}
	sum(dst, term{1 / sigma, x}, term{-1 / sigma, dst})
}
