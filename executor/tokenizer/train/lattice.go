package train

import (
	"math"
	"slices"
	"unicode/utf8"

	"pipe.dev/executor/tokenizer/trie"
)

// piece is a token of a unigram model in training. The first of a model's is the unknown token.
type piece struct {
	text  string
	score float64 // logarithm of its probability
}

// pieceModel finds the ways to cut a word into pieces. Any number of goroutines may use it at once.
type pieceModel struct {
	pieces  []piece
	trie    *trie.Trie
	unknown float64 // score of a character that is no piece
}

// unknownPenalty is how much worse than the worst piece an unknown character is.
const unknownPenalty = 10

func newPieceModel(pieces []piece) *pieceModel {
	texts := make([]string, len(pieces))
	for i, p := range pieces[1:] {
		texts[i+1] = p.text
	}
	return &pieceModel{pieces, trie.New(texts), worst(pieces) - unknownPenalty}
}

// worst is the lowest score, 0 where no piece is left but the unknown token.
func worst(pieces []piece) float64 {
	low := 0.0
	for _, p := range pieces[1:] {
		low = min(low, p.score)
	}
	return low
}

// lattice is the ways through one word at a time: the working memory of a goroutine.
type lattice struct {
	m     *pieceModel
	first []int32 // edge from each place, the end of the last included; places are bytes
	edges []edge
	best  []float64 // score of the best or of all ways between a place and an end of the word
	via   []int32   // edge of the best way
	reach []float64 // probability to pass a place
	path  []int32
}

// edge is a piece that may stand at a place.
type edge struct {
	to    int32 // where it ends
	id    int32
	score float64
	share float64 // of the ways from its place on
}

// fill finds the edges of a word.
func (l *lattice) fill(word string) {
	l.edges, l.first = l.edges[:0], l.first[:0]
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRuneInString(word[at:])
		for range size {
			l.first = append(l.first, int32(len(l.edges)))
		}
		single := false
		node := trie.Root
		for i := at; i < len(word); {
			if node = l.m.trie.Step(node, word[i]); node < 0 {
				break
			}
			i++
			if id := l.m.trie.Piece(node); id > 0 {
				single = single || i == at+size
				l.edges = append(l.edges, edge{to: int32(i), id: id, score: l.m.pieces[id].score})
			}
		}
		if !single {
			l.edges = append(l.edges, edge{to: int32(at + size), id: 0, score: l.m.unknown})
		}
		// the other bytes of the character have no edges
		for i := at + 1; i < at+size; i++ {
			l.first[i] = int32(len(l.edges))
		}
		at += size
	}
	l.first = append(l.first, int32(len(l.edges)))
}

// expect adds to expected how often each piece is to be expected in a word that occurs count times, and returns the
// logarithm of the word's probability.
//
// From the end to the start, total[at] = log sum over edges of exp(score + total[to]), and each edge has a share of it;
// from the start on, the probability to pass a place is spread by these shares.
func (l *lattice) expect(word string, count float64, expected []float64) float64 {
	l.fill(word)
	n := len(word)
	total := grown(&l.best, n+1)
	reach := grown(&l.reach, n+1)
	total[n] = 0
	for at := n - 1; at >= 0; at-- {
		edges := l.edges[l.first[at]:l.first[at+1]]
		top := math.Inf(-1)
		for _, e := range edges {
			top = max(top, e.score+total[e.to])
		}
		sum := 0.0
		for i := range edges {
			e := &edges[i]
			e.share = 1
			if len(edges) > 1 {
				e.share = math.Exp(e.score + total[e.to] - top)
			}
			sum += e.share
		}
		total[at] = top
		if len(edges) > 1 {
			total[at] += math.Log(sum)
			for i := range edges {
				edges[i].share /= sum
			}
		}
		reach[at] = 0
	}
	reach[0] = 1
	for at := range n {
		if reach[at] == 0 {
			continue
		}
		for _, e := range l.edges[l.first[at]:l.first[at+1]] {
			p := reach[at] * e.share
			expected[e.id] += count * p
			if int(e.to) < n {
				reach[e.to] += p
			}
		}
	}
	return total[0]
}

// segment returns the pieces of the best way and its score. With whole false, the piece that is the word itself does
// not count; the score is -Inf where there is no other way. The result is valid until the next call.
func (l *lattice) segment(word string, whole bool) ([]int32, float64) {
	l.fill(word)
	n := len(word)
	best := grown(&l.best, n+1)
	l.via = slices.Grow(l.via[:0], n+1)[:n+1]
	best[n] = 0
	for at := n - 1; at >= 0; at-- {
		best[at] = math.Inf(-1)
		for i := l.first[at]; i < l.first[at+1]; i++ {
			e := &l.edges[i]
			if !whole && at == 0 && int(e.to) == n {
				continue
			}
			if s := e.score + best[e.to]; s > best[at] {
				best[at], l.via[at] = s, i
			}
		}
	}
	l.path = l.path[:0]
	if math.IsInf(best[0], -1) {
		return l.path, best[0]
	}
	for at := 0; at < n; at = int(l.edges[l.via[at]].to) {
		l.path = append(l.path, l.edges[l.via[at]].id)
	}
	return l.path, best[0]
}

func grown(s *[]float64, n int) []float64 {
	*s = slices.Grow((*s)[:0], n)[:n]
	return *s
}
