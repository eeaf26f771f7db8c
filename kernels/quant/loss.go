package quant

import (
	"fmt"
	"math"
)

// Loss says how far quantised weights are from what they were.
type Loss struct {
	Weights  int
	Greatest float64 // |error|, of any weight
	RMS      float64 // root of the mean squared error
	Relative float64 // root of the squared error over the squared weights; 0 if all are exact
}

// Measure compares weights before and after.
func Measure(before, after []float32) (Loss, error) {
	if len(before) != len(after) {
		return Loss{}, fmt.Errorf("%d weights before, %d after", len(before), len(after))
	}
	l := Loss{Weights: len(before)}
	var squares, total float64
	for i, x := range before {
		e := math.Abs(float64(after[i]) - float64(x))
		l.Greatest = max(l.Greatest, e)
		squares += float64(e * e)
		total += float64(float64(x) * float64(x))
	}
	if squares > 0 {
		l.RMS = math.Sqrt(squares / float64(len(before)))
		l.Relative = math.Sqrt(squares / total)
	}
	return l, nil
}
