package train

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"pipe.dev/executor/tokenizer"
)

// trainUnigram starts from many pieces and in rounds fits their probabilities to the words and drops those that matter
// least. As in SentencePiece, pruning ends at a tenth more than the vocabulary, and the pieces over that go last.
func trainUnigram(r *run) (*model, error) {
	r.spellBytes()
	v := newVocabulary(&r.Attr)
	special := len(v.tokens)
	characters, counts := r.characters()
	for _, c := range characters {
		v.enter(string(c))
	}
	if len(v.tokens) > r.VocabSize {
		return nil, r.tooSmall(special, len(v.tokens)-special, 0)
	}
	size := r.VocabSize - special
	pieces := append([]piece{{score: math.Inf(-1)}}, seeds(r.words, characters, counts, r.MaxPieceLength, r.SeedSize)...)
	enough := r.VocabSize * 11 / 10
	rounds := int64(0)
	var m *pieceModel
	for {
		for range r.SubIterations {
			m = newPieceModel(pieces)
			pieces = maximise(pieces, r.expectation(m))
			rounds++
			if err := r.progress("rounds", rounds, rounds+r.roundsLeft(len(pieces), enough)); err != nil {
				return nil, err
			}
		}
		m = newPieceModel(pieces)
		if len(pieces) <= enough {
			break
		}
		keep := max(enough, int(float64(len(pieces))*r.ShrinkingFactor))
		fewer := r.prune(m, keep)
		if len(fewer) >= len(pieces) { // only pieces that cannot be spelt otherwise are left
			break
		}
		pieces = fewer
	}
	return finish(v, m, characters, special, size), nil
}

// spellBytes writes the words of byte level as the characters that stand for bytes.
func (r *run) spellBytes() {
	if !r.ByteLevel {
		return
	}
	for i, w := range r.words {
		text := make([]rune, len(w.text))
		for at := range len(w.text) {
			text[at] = tokenizer.ByteRune(w.text[at])
		}
		r.words[i].text = string(text)
	}
}

// roundsLeft estimates the rounds until so many pieces are enough.
func (r *run) roundsLeft(pieces, enough int) int64 {
	if pieces <= enough {
		return 0
	}
	prunings := math.Ceil(math.Log(float64(enough)/float64(pieces)) / math.Log(r.ShrinkingFactor))
	return int64(prunings) * int64(r.SubIterations)
}

// expectation is how often each piece is to be expected in the words.
func (r *run) expectation(m *pieceModel) []float64 {
	parts := make([][]float64, shards)
	r.shards(m, func(shard int, l *lattice, words []word) {
		parts[shard] = make([]float64, len(m.pieces))
		for _, w := range words {
			l.expect(w.text, float64(w.count), parts[shard])
		}
	})
	for _, p := range parts[1:] {
		for i, x := range p {
			parts[0][i] += x
		}
	}
	return parts[0]
}

// rare is the expected number of occurrences below which a piece is dropped.
const rare = 0.5

// maximise gives the pieces the probabilities that their expected occurrences suggest under a sparse prior: a piece
// expected n times out of N has exp(ψ(n) - ψ(N)), ψ the digamma function, which is less than n/N, the more so for
// small n. Source: Liang and Klein, Structured Bayesian nonparametric models with variational inference (2007).
func maximise(pieces []piece, expected []float64) []piece {
	kept := pieces[:1:1] // the unknown token
	sum := 0.0
	for i, p := range pieces {
		if n := expected[i]; i > 0 && n >= rare {
			kept = append(kept, piece{p.text, digamma(n)})
			sum += n
		}
	}
	total := digamma(sum)
	for i := range kept[1:] {
		kept[i+1].score -= total
	}
	return kept
}

// digamma is the derivative of log Γ for x > 0: by recurrence up to 7, then by the asymptotic series in x - 1/2.
func digamma(x float64) float64 {
	y := 0.0
	for ; x < 7; x++ {
		y -= 1 / x
	}
	x -= 0.5
	s := 1 / (x * x)
	return y + math.Log(x) + s*(1.0/24-s*(7.0/960-s*(31.0/8064-s*127.0/30720)))
}

// exact is the fraction that scores are rounded to: readers of JSON that take a short way are exact to 15 digits.
const exact = 1e12

// finish makes the vocabulary: special tokens, then size pieces with the best scores first. All characters are among
// them, the others are the first of the model; those that the model lacks are a little better than its worst piece.
func finish(v *vocabulary, m *pieceModel, characters []rune, special, size int) *model {
	known := map[string]float64{}
	low := worst(m.pieces)
	for _, p := range m.pieces[1:] {
		known[p.text] = p.score
	}
	var chosen []piece
	taken := map[string]bool{}
	for _, t := range v.tokens[:special] {
		taken[t] = true
	}
	for _, c := range characters {
		score, ok := known[string(c)]
		if !ok {
			low += 0.0001
			score = low
		}
		if s := string(c); !taken[s] {
			chosen = append(chosen, piece{s, score})
			taken[s] = true
		}
	}
	for _, p := range m.pieces[1:] {
		if len(chosen) < size && !taken[p.text] {
			chosen = append(chosen, p)
		}
	}
	slices.SortFunc(chosen, func(a, b piece) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.text, b.text))
	})
	out := &model{tokens: v.tokens[:special:special], scores: make([]float64, special)}
	for _, p := range chosen {
		out.tokens = append(out.tokens, p.text)
		out.scores = append(out.scores, math.Round(p.score*exact)/exact)
	}
	return out
}
