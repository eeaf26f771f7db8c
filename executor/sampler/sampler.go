// Package sampler chooses the next token from the logits of a language model:
// greedily, or by chance after the usual transforms (repetition penalty,
// temperature, top-k, top-p, min-p).
//
// A choice depends on the logits, the tokens before, the options and the
// position, and on nothing else: the random number of a position comes from a
// counter-based generator, so that a request gives the same text alone, in a
// batch, and resumed.
//
// Not here: stop strings, beam search, and penalties that look at text.
package sampler

import (
	"fmt"
	"math"

	"pipe.dev/internal/philox"
)

// Options say how to choose. The zero value is greedy.
type Options struct {
	Temperature       float64 // logits are divided by it; 0 takes the best token, of equal ones the lowest id
	TopK              int     // keep the k best tokens and those equal to the k-th; 0 keeps all
	TopP              float64 // keep the fewest best tokens whose probability reaches it; 0 and 1 keep all
	MinP              float64 // keep tokens at least this times as likely as the best; 0 keeps all
	RepetitionPenalty float64 // divides positive logits of tokens seen before, multiplies negative ones; 0 and 1 are none
	Seed              uint64  // of the random numbers
}

// validate reports the first value outside its range.
func (o Options) validate() error {
	switch {
	case !(o.Temperature >= 0) || math.IsInf(o.Temperature, 1):
		return fmt.Errorf("temperature: %v is not 0 (greedy) or a positive number", o.Temperature)
	case o.Temperature > 0 && math.IsInf(1/o.Temperature, 1):
		return fmt.Errorf("temperature: %v is too small; 0 is greedy", o.Temperature)
	case o.TopK < 0:
		return fmt.Errorf("top_k: %d is negative; 0 keeps all tokens", o.TopK)
	case !(o.TopP >= 0 && o.TopP <= 1):
		return fmt.Errorf("top_p: %v is not between 0 and 1", o.TopP)
	case !(o.MinP >= 0 && o.MinP <= 1):
		return fmt.Errorf("min_p: %v is not between 0 and 1", o.MinP)
	case !(o.RepetitionPenalty >= 0) || math.IsInf(o.RepetitionPenalty, 1):
		return fmt.Errorf("repetition_penalty: %v is not a positive number; 1 is none", o.RepetitionPenalty)
	}
	return nil
}

// Sampler chooses tokens of one request. It owns all the memory it needs,
// about 28 bytes per token of the vocabulary, and is not safe for concurrent
// use. It keeps nothing from one choice to the next.
type Sampler struct {
	o     Options
	vocab int

	// The candidates: tokens still in the running, in order of their ids.
	id     []int32
	x      []float64 // (score - best score) / temperature, so at most 0
	weight []float64 // exp(x)

	seen    []uint32 // per token: the value of round when it was last penalised
	round   uint32
	order   []int32   // candidates that are being sorted, by their index
	buckets []float64 // counts or weights, see bucket
	peaks   []float64 // the highest score of each of len(peaks) stretches of the vocabulary, see floor
	exp     exponential
}

// New returns a sampler for a vocabulary of vocab tokens.
func New(vocab int, o Options) (*Sampler, error) {
	if vocab <= 0 || vocab > math.MaxInt32 {
		return nil, fmt.Errorf("a vocabulary of %d tokens cannot be sampled from", vocab)
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Sampler{o: o, vocab: vocab}
	if s.penalises() {
		s.seen = make([]uint32, vocab)
	}
	if s.penalises() || o.Temperature > 0 {
		s.x = make([]float64, vocab)
	}
	if o.Temperature > 0 {
		s.id = make([]int32, vocab)
		s.weight = make([]float64, vocab)
		s.order = make([]int32, 0, vocab)
		s.buckets = make([]float64, bucketCount)
		s.exp = newExponential()
		if o.TopK > 0 && o.TopK <= maxPeaks {
			s.peaks = make([]float64, min(maxPeaks, vocab))
		}
	}
	return s, nil
}

// penalises reports whether tokens seen before count.
func (s *Sampler) penalises() bool { return s.o.RepetitionPenalty != 0 && s.o.RepetitionPenalty != 1 }

// limitsMass reports whether TopP removes anything.
func (s *Sampler) limitsMass() bool { return s.o.TopP > 0 && s.o.TopP < 1 }

// Next returns the token for a position.
//
//	logits  [vocab], not changed; -Inf excludes a token
//	history the tokens before: prompt and generated ones
//
// A *NaNError tells that the logits are no numbers to choose from. It does not
// allocate.
func (s *Sampler) Next(logits []float32, history []int32, position int) (int32, error) {
	n, err := s.candidates(logits, history, position)
	if err != nil {
		return 0, err
	}
	if s.o.Temperature == 0 {
		return int32(n), nil
	}
	return s.id[draw(s.weight[:n], philox.Uniform(s.o.Seed, uint64(position)))], nil
}

// Probabilities writes to dst [vocab] the probability with which Next would
// choose each token. Its errors are those of Next.
func (s *Sampler) Probabilities(dst []float64, logits []float32, history []int32, position int) error {
	if len(dst) != s.vocab {
		return fmt.Errorf("position %d: room for %d probabilities, but the vocabulary has %d tokens", position, len(dst), s.vocab)
	}
	n, err := s.candidates(logits, history, position)
	if err != nil {
		return err
	}
	clear(dst)
	if s.o.Temperature == 0 {
		dst[n] = 1
		return nil
	}
	total := sum(s.weight[:n])
	for i, w := range s.weight[:n] {
		dst[s.id[i]] = w / total
	}
	return nil
}

// candidates applies all transforms and returns how many candidates are left,
// at least 1; when greedy, the best token instead.
func (s *Sampler) candidates(logits []float32, history []int32, position int) (int, error) {
	if len(logits) != s.vocab {
		return 0, fmt.Errorf("position %d: got %d logits, but the vocabulary has %d tokens", position, len(logits), s.vocab)
	}
	if !s.penalises() {
		return transform(s, logits, position)
	}
	if err := s.penalise(logits, history, position); err != nil {
		return 0, err
	}
	return transform(s, s.x, position)
}

// transform is candidates after the penalty. The order of the steps is that of
// generate in the Python library transformers. scores may be s.x.
func transform[T float32 | float64](s *Sampler, scores []T, position int) (int, error) {
	best, err := argmax(scores, s.peaks, position)
	if err != nil || s.o.Temperature == 0 {
		return best, err
	}
	highest := float64(scores[best])
	n := scale(s, scores, highest, s.floor(highest))
	if s.o.TopK > 0 {
		n = s.topK(n)
	}
	s.exp.fill(s.weight[:n], s.x[:n]) // the best one's weight is exactly 1
	if s.limitsMass() {
		n = s.topP(n)
	}
	if s.o.MinP > 0 {
		n = s.heavy(n, s.o.MinP) // arXiv:2407.01082
	}
	return n, nil
}
