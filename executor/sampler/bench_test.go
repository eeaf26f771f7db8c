package sampler

import (
	"math/rand/v2"
	"testing"
)

// realistic returns logits with the shape of a language model's: a broad bulk and a few far ahead.
func realistic(vocab int) []float32 {
	r := rand.New(rand.NewPCG(5, 6))
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(2.5 * r.NormFloat64())
	}
	for i := range 50 {
		logits[r.IntN(vocab)] = float32(10 + 0.2*float64(i))
	}
	return logits
}

func BenchmarkNext(b *testing.B) {
	logits := realistic(151_936)
	for _, c := range []struct {
		name string
		o    Options
	}{
		{"greedy", Options{}},
		{"temperature", Options{Temperature: 0.8}},
		{"top_k40", Options{Temperature: 0.8, TopK: 40}},
		{"top_p0.9", Options{Temperature: 0.8, TopP: 0.9}},
		{"min_p0.05", Options{Temperature: 0.8, MinP: 0.05}},
		{"flat_top_p0.9", Options{Temperature: 50, TopP: 0.9}},
		{"all", Options{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepetitionPenalty: 1.1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, err := New(len(logits), c.o)
			if err != nil {
				b.Fatal(err)
			}
			history := make([]int32, 1000)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := s.Next(logits, history, i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
