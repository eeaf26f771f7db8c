package model

import (
	"math"
	"slices"
)

// KeepTimes keeps tokens of times where they belong, among the logits of what follows made:
// they stand in pairs, or before the end of the text, and never go back; the first token is a time; and
// where times together are likelier than any text, it is one. end are the tokens that end a
// text; texts have lower ones.
//
// Source: arXiv:2212.04356, section 4.5, and the code of its authors.
func (h *Hearing) KeepTimes(logits []float32, made []int32, end []int32) {
	none := float32(math.Inf(-1))
	forbid := func(from, to int) {
		for i := max(0, from); i < min(to, len(logits)); i++ {
			logits[i] = none
		}
	}
	first, n := int(h.Times), len(made)
	isTime := func(i int) bool { return int(made[i]) >= first }
	least := first // no time before
	for _, id := range made {
		if int(id) >= first {
			least = int(id) + 1
		}
	}
	if n > 0 && isTime(n-1) {
		if n < 2 || isTime(n-2) {
			forbid(first, len(logits))
		} else {
			if len(end) > 0 {
				forbid(0, int(slices.Min(end)))
			}
			least-- // the same time begins what follows
		}
	}
	forbid(first, least)
	if n == 0 {
		forbid(0, first)
		if h.LastFirstTime > 0 {
			forbid(first+h.LastFirstTime+1, len(logits))
		}
	}
	if h.likelier(logits) {
		forbid(0, first)
	}
}

// likelier reports whether the probabilities of all times together are above that of any other token.
func (h *Hearing) likelier(logits []float32) bool {
	first := min(int(h.Times), len(logits))
	text, most := math.Inf(-1), math.Inf(-1)
	for i, x := range logits {
		if i < first {
			text = max(text, float64(x))
		}
		most = max(most, float64(x))
	}
	if math.IsInf(most, 0) || math.IsNaN(most) {
		return false
	}
	sum := 0.0
	for _, x := range logits[first:] {
		sum += math.Exp(float64(x) - most)
	}
	return math.Log(sum) > text-most
}
