// Package noise holds the noise schedules of diffusion: how much of a sample is
// left at each step of a training. Training and sampling read the same numbers.
//
// Names and values are those of diffusers, rounded to float32 where it rounds.
package noise

import (
	"fmt"
	"math"
	"strings"

	"pipe.dev/internal/suggest"
)

// names are the schedules that there are.
var names = []string{"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace", "exp"}

// Schedule says how much noise each step adds.
type Schedule struct {
	Steps      int
	Name       string    // of the table of names
	Start, End float64   // first and last beta, of those that have them
	Betas      []float64 // instead of a name, if there are any
	ZeroSNR    bool      // the last step has no signal; arXiv:2305.08891
}

// Alphas are the products of 1-beta up to each step, rounded to float32 where
// diffusers rounds them: the difference of 1 and the first ones would not be
// equal otherwise.
func (s Schedule) Alphas() ([]float64, error) {
	b, err := s.betas()
	if err != nil {
		return nil, err
	}
	if s.ZeroSNR {
		b = zeroTerminal(b)
	}
	list, product := make([]float64, len(b)), 1.0
	for i, beta := range b {
		if beta < 0 || beta > 1 {
			return nil, fmt.Errorf("beta %d is %g, want 0 to 1", i, beta)
		}
		product *= float64(1 - float32(beta))
		list[i] = round(product)
	}
	return list, nil
}

// round is the nearest float32.
func round(v float64) float64 { return float64(float32(v)) }

// betas are the variances that the chain adds, each a float32.
func (s Schedule) betas() ([]float64, error) {
	n := s.Steps
	if len(s.Betas) > 0 {
		list := make([]float64, n)
		for i, b := range s.Betas {
			list[i] = round(b)
		}
		return list, nil
	}
	var list []float64
	switch s.Name {
	case "linear":
		list = linspace32(s.Start, s.End, n)
	case "scaled_linear":
		list = linspace32(math.Sqrt(s.Start), math.Sqrt(s.End), n)
		for i, v := range list {
			list[i] = round(v * v)
		}
	case "sigmoid":
		list = linspace32(-6, 6, n)
		for i, v := range list {
			list[i] = round(round(round(1/(1+math.Exp(-v)))*round(s.End-s.Start)) + round(s.Start))
		}
	case "squaredcos_cap_v2", "laplace", "exp":
		list = capped(n, bars[s.Name])
	default:
		return nil, s.unknown()
	}
	return list, nil
}

// bars are what the product of 1-beta is at a time of 0 to 1.
var bars = map[string]func(t float64) float64{
	"squaredcos_cap_v2": func(t float64) float64 { // arXiv:2102.09672
		v := math.Cos((t + 0.008) / 1.008 * math.Pi / 2)
		return v * v
	},
	"laplace": func(t float64) float64 { // arXiv:2407.03297
		snr := math.Exp(-0.5 * math.Copysign(1, 0.5-t) * math.Log(1-2*math.Abs(0.5-t)+1e-6))
		return math.Sqrt(snr / (1 + snr))
	},
	"exp": func(t float64) float64 { return math.Exp(-12 * t) },
}

// capped are the betas of a product, none above 0.999.
func capped(n int, bar func(float64) float64) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = round(min(1-bar(float64(i+1)/float64(n))/bar(float64(i)/float64(n)), 0.999))
	}
	return list
}

// zeroTerminal changes betas so that the last step has no signal at all.
//
// Source: arXiv:2305.08891, algorithm 1.
func zeroTerminal(betas []float64) []float64 {
	n := len(betas)
	roots, product := make([]float64, n), 1.0
	for i, b := range betas {
		product *= float64(1 - float32(b))
		roots[i] = round(math.Sqrt(round(product)))
	}
	first, last := roots[0], roots[n-1]
	scale := round(first / round(first-last))
	bar := make([]float64, n)
	for i, r := range roots {
		v := round(round(r-last) * scale)
		bar[i] = round(v * v)
	}
	list := make([]float64, n)
	list[0] = round(1 - bar[0])
	for i := 1; i < n; i++ {
		list[i] = round(1 - round(bar[i]/bar[i-1]))
	}
	return list
}

// linspace32 is n values from a to b in float32, counted from the nearer end.
func linspace32(a, b float64, n int) []float64 {
	list := make([]float64, n)
	from, to := float32(a), float32(b)
	step := (to - from) / float32(max(n-1, 1))
	for i := range list {
		if i < n/2 {
			list[i] = float64(float32(math.FMA(float64(step), float64(i), float64(from))))
		} else {
			list[i] = float64(float32(math.FMA(-float64(step), float64(n-i-1), float64(to))))
		}
	}
	return list
}

// unknown says that there is no schedule of that name.
func (s Schedule) unknown() error {
	hint := suggest.DidYouMean(s.Name, names)
	if hint == "" {
		hint = "want one of " + strings.Join(names, ", ")
	}
	return fmt.Errorf("beta_schedule %q is not known; %s", s.Name, hint)
}
