package sampler

import (
	"fmt"
	"math"
	"slices"
)

// argmax returns the index of the highest score, the lowest of equal ones, and
// refuses scores that leave nothing to choose from. On the way it fills peaks:
// the highest score of each of len(peaks) stretches, or -Inf of an empty one.
func argmax[T float32 | float64](scores []T, peaks []float64, position int) (int, error) {
	lowest := T(math.Inf(-1))
	best, highest := -1, lowest
	stretches := max(len(peaks), 1)
	size := (len(scores) + stretches - 1) / stretches
	for p := range stretches {
		from := min(p*size, len(scores))
		peak, at := lowest, -1
		part := scores[from:min(from+size, len(scores))]
		for i := nextAbove(part, 0, peak); i < len(part); i = nextAbove(part, i+1, peak) {
			v := part[i]
			if v != v {
				return 0, &NaNError{Position: position, Index: from + i, Value: float32(v)}
			}
			peak, at = v, from+i
		}
		if p < len(peaks) {
			peaks[p] = float64(peak)
		}
		if peak > highest {
			best, highest = at, peak
		}
	}
	if best < 0 || math.IsInf(float64(highest), 1) {
		return 0, &NaNError{Position: position, Index: best, Value: float32(highest)}
	}
	return best, nil
}

// nextAbove is the first place from i on whose score is not at most peak: more, or
// NaN; len(x) if there is none. Eight are looked at together, since few are.
func nextAbove[T float32 | float64](x []T, i int, peak T) int {
	for ; i+8 <= len(x); i += 8 {
		b := x[i : i+8 : i+8]
		if !(b[0] <= peak && b[1] <= peak && b[2] <= peak && b[3] <= peak && b[4] <= peak && b[5] <= peak && b[6] <= peak && b[7] <= peak) {
			break
		}
	}
	for ; i < len(x); i++ {
		if !(x[i] <= peak) {
			break
		}
	}
	return i
}

// maxPeaks is the number of stretches whose peaks are compared.
const maxPeaks = 512

// floor returns a score below which no token survives top-k, or min-p; -Inf if
// it cannot tell. k stretches with a peak of at least f prove that the k-th
// best score is at least f.
func (s *Sampler) floor(highest float64) float64 {
	f := math.Inf(-1)
	if k := s.o.TopK; k > 0 && k <= len(s.peaks) {
		slices.Sort(s.peaks)
		f = s.peaks[len(s.peaks)-k]
	}
	if s.o.MinP > 0 && !s.limitsMass() {
		f = max(f, highest+(math.Log(s.o.MinP)-1e-6)*s.o.Temperature) // minP decides what is near
	}
	return f
}

// penalise fills s.x with the logits, those of tokens in history made less
// likely, once however often a token was seen.
//
// Source: arXiv:1909.05858, with the negative logits multiplied, as everybody does.
func (s *Sampler) penalise(logits []float32, history []int32, position int) error {
	for i, l := range logits {
		s.x[i] = float64(l)
	}
	if s.round++; s.round == 0 {
		clear(s.seen)
		s.round = 1
	}
	for i, id := range history {
		if id < 0 || int(id) >= s.vocab {
			return fmt.Errorf("position %d: token %d of the history is %d, outside the vocabulary of %d", position, i, id, s.vocab)
		}
		if s.seen[id] == s.round {
			continue
		}
		s.seen[id] = s.round
		// Only penalties that nobody uses leave float64; the bounds keep the scores numbers.
		switch v := s.x[id]; {
		case math.IsInf(v, 0): // stays as it is
		case v < 0:
			s.x[id] = max(v*s.o.RepetitionPenalty, -math.MaxFloat64)
		default:
			s.x[id] = min(v/s.o.RepetitionPenalty, math.MaxFloat64)
		}
	}
	return nil
}

// scale makes every token with a chance, of a score of at least floor, a
// candidate: x = (score - highest) / temperature. scores may be s.x: what is
// overwritten has been read.
func scale[T float32 | float64](s *Sampler, scores []T, highest, floor float64) int {
	inverse := 1 / s.o.Temperature
	n := 0
	for i, v := range scores {
		score := float64(v)
		if score < floor {
			continue
		}
		if x := (score - highest) * inverse; x > math.Inf(-1) {
			s.id[n], s.x[n] = int32(i), x
			n++
		}
	}
	return n
}

// topK keeps the candidates that are at least as good as the k-th best.
func (s *Sampler) topK(n int) int {
	k := s.o.TopK
	if k >= n {
		return n
	}
	width := s.bucketWidth(n)
	clear(s.buckets)
	for _, x := range s.x[:n] {
		s.buckets[bucket(x, width)]++
	}
	b, above := s.reach(float64(k))
	s.sortBucket(n, b, width)
	least := s.x[s.order[k-1-int(above)]]
	kept := 0
	for i, x := range s.x[:n] {
		s.id[kept], s.x[kept] = s.id[i], x
		if x >= least {
			kept++
		}
	}
	return kept
}

// heavy keeps the candidates with at least least of weight.
func (s *Sampler) heavy(n int, least float64) int {
	kept := 0
	for i, w := range s.weight[:n] {
		if w >= least {
			s.id[kept], s.x[kept], s.weight[kept] = s.id[i], s.x[i], w
			kept++
		}
	}
	return kept
}

// topP keeps a candidate if those before it (the better ones, and of equal
// ones those with a lower id) have less than TopP of all weight.
//
// Source: arXiv:1904.09751.
func (s *Sampler) topP(n int) int {
	total := sum(s.weight[:n])
	enough := s.o.TopP * total
	// Those below this have less than 1-TopP of it even if all others are among them: most go here, cheaply.
	n = s.heavy(n, (1-s.o.TopP)*total/float64(n))
	width := s.bucketWidth(n)
	clear(s.buckets)
	for i, x := range s.x[:n] {
		s.buckets[bucket(x, width)] += s.weight[i]
	}
	b, above := s.reach(enough)
	s.sortBucket(n, b, width)
	last := s.order[0]
	for _, i := range s.order {
		if above >= enough {
			break
		}
		last, above = i, above+s.weight[i]
	}
	least := s.x[last]
	kept := 0
	for i, x := range s.x[:n] {
		if x > least || x == least && i <= int(last) {
			s.id[kept], s.x[kept], s.weight[kept] = s.id[i], x, s.weight[i]
			kept++
		}
	}
	return kept
}

// draw returns the index on which u, in [0, 1), falls when the weights are laid
// end to end, in their order. One weight at least is positive.
func draw(weight []float64, u float64) int {
	const block = 256 // whole blocks are passed over by their sums
	rest, from := u*sum(weight), 0
	for ; from+block < len(weight); from += block {
		w := sum(weight[from : from+block])
		if rest < w {
			break
		}
		rest -= w
	}
	for i, w := range weight[from:] {
		if rest < w {
			return from + i
		}
		rest -= w
	}
	// Rounding left it beyond the end.
	last := len(weight) - 1
	for weight[last] == 0 {
		last--
	}
	return last
}

// sum adds in an order that only the length fixes.
func sum(w []float64) float64 {
	var a, b, c, d float64
	i := 0
	for ; i+4 <= len(w); i += 4 {
		a, b, c, d = a+w[i], b+w[i+1], c+w[i+2], d+w[i+3]
	}
	for ; i < len(w); i++ {
		a += w[i]
	}
	return (a + b) + (c + d)
}
