package train

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
)

// shards is how many parts the words are worked on in. It does not depend on the number of goroutines, and the parts'
// sums are added up in order, so that the results do not either.
const shards = 8

// shards calls f with every part of the words, on several goroutines.
func (r *run) shards(m *pieceModel, f func(shard int, l *lattice, words []word)) {
	n := len(r.words)
	parallel(r.threads, shards, func(shard int) {
		f(shard, &lattice{m: m}, r.words[n*shard/shards:n*(shard+1)/shards])
	})
}

// parallel calls f with 0 to n-1 on so many goroutines.
func parallel(threads, n int, f func(i int)) {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	var group sync.WaitGroup
	for range max(min(threads, n), 1) {
		group.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	group.Wait()
}

// prune keeps so many pieces: those that cannot be spelt by others, and of the rest those without which the words would
// lose the most likelihood, if each were spelt the next best way. The order of the pieces is that of their worth.
func (r *run) prune(m *pieceModel, keep int) []piece {
	counts := r.bestCounts(m)
	sum := 0.0
	for _, n := range counts {
		sum += n
	}
	loss := make([]float64, len(m.pieces)) // NaN: drop at once; +Inf: keep
	parallel(r.threads, shards, func(shard int) {
		l := &lattice{m: m}
		n := len(m.pieces)
		for i := max(n*shard/shards, 1); i < n*(shard+1)/shards; i++ {
			loss[i] = lossWithout(l, i, counts, sum)
		}
	})
	order := make([]int, 0, len(m.pieces))
	for i := range m.pieces[1:] {
		if !math.IsNaN(loss[i+1]) {
			order = append(order, i+1)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(loss[b], loss[a]), strings.Compare(m.pieces[a].text, m.pieces[b].text))
	})
	kept := m.pieces[:1:1]
	for _, i := range order {
		if len(kept) < keep || math.IsInf(loss[i], 1) {
			kept = append(kept, m.pieces[i])
		}
	}
	return kept
}

// bestCounts is how often each piece occurs when every word is cut the best way.
func (r *run) bestCounts(m *pieceModel) []float64 {
	parts := make([][]float64, shards)
	r.shards(m, func(shard int, l *lattice, words []word) {
		parts[shard] = make([]float64, len(m.pieces))
		for _, w := range words {
			path, _ := l.segment(w.text, true)
			for _, id := range path {
				parts[shard][id] += float64(w.count)
			}
		}
	})
	for _, p := range parts[1:] {
		for i, x := range p {
			parts[0][i] += x
		}
	}
	return parts[0]
}

// lossWithout is the likelihood, in nats, that the words would lose without a piece: its occurrences n go to the pieces
// that spell it next best, which adds n to each of them, and n times the others' number less one to all.
func lossWithout(l *lattice, i int, counts []float64, sum float64) float64 {
	others, score := l.segment(l.m.pieces[i].text, false)
	n := counts[i]
	switch {
	case math.IsInf(score, -1):
		return math.Inf(1)
	case n == 0 || score > l.m.pieces[i].score:
		return math.NaN()
	}
	after := math.Log(sum + n*float64(len(others)-1))
	loss := math.Log(n) - math.Log(sum)
	for _, id := range others {
		loss -= math.Log(counts[id]+n) - after
	}
	return n * loss
}
