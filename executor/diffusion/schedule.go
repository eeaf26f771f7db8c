package diffusion

import "pipe.dev/internal/noise"

// alphas are the products of 1-beta up to each step of training.
func alphas(c Config) ([]float64, error) {
	list, err := noise.Schedule{Steps: c.TrainSteps, Name: c.BetaSchedule, Start: c.BetaStart, End: c.BetaEnd, Betas: c.Betas, ZeroSNR: c.ZeroSNR}.Alphas()
	if err != nil {
		return nil, errorf("%v", err)
	}
	return list, nil
}

// round is the nearest float32.
func round(v float64) float64 { return float64(float32(v)) }

// linspace is n values from a to b.
func linspace(a, b float64, n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = a + float64(i)*(b-a)/float64(max(n-1, 1))
	}
	if n > 1 {
		list[n-1] = b
	}
	return list
}
