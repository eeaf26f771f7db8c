package train

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/tokenizer"
)

// measure encodes held-out texts: the number of tokens and the logarithm of the likelihood of the best segmentations.
func measure(t testing.TB, file []byte, held []string) (m measures, size int) {
	t.Helper()
	tok, err := tokenizer.Parse("unigram", file)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Model struct {
			UnkID *int32 `json:"unk_id"`
			Vocab [][2]any
		}
	}
	if err := json.Unmarshal(file, &f); err != nil {
		t.Fatal(err)
	}
	low := math.Inf(1)
	for _, p := range f.Model.Vocab {
		low = min(low, p[1].(float64))
	}
	for _, text := range held {
		ids, err := tok.Encode(nil, text, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			m.Tokens++
			if f.Model.UnkID != nil && id == *f.Model.UnkID {
				m.Nats += low - unknownPenalty
			} else {
				m.Nats += f.Model.Vocab[id][1].(float64)
			}
		}
	}
	return m, len(f.Model.Vocab)
}

// atLeastAsGood wants tokens and likelihood of held-out texts at most 2% worse than the reference's.
func atLeastAsGood(t *testing.T, c trainedCase, texts, held []string) {
	t.Helper()
	file, err := runThreads(c.attr(t), each(texts), nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	got, size := measure(t, file, held)
	t.Logf("%s: %d tokens, reference %d (%.4f); %.1f nats, reference %.1f (%.4f)", c.Name, got.Tokens, c.Held.Tokens,
		float64(got.Tokens)/float64(c.Held.Tokens), got.Nats, c.Held.Nats, got.Nats/c.Held.Nats)
	if float64(got.Tokens) > 1.02*float64(c.Held.Tokens) {
		t.Errorf("%d tokens of held-out text, the reference has %d", got.Tokens, c.Held.Tokens)
	}
	if got.Nats < 1.02*c.Held.Nats {
		t.Errorf("%.1f nats of held-out text, the reference has %.1f", got.Nats, c.Held.Nats)
	}
	if want := c.attr(t).VocabSize; size > want {
		t.Errorf("%d tokens in the vocabulary, want %d at most; the reference has %d", size, want, c.Size)
	}
}

func TestUnigramReachesReference(t *testing.T) {
	all := readTrained(t)
	for _, c := range all.Unigrams {
		t.Run(c.Name, func(t *testing.T) { atLeastAsGood(t, c, all.Texts, all.Held) })
	}
}

func TestSharedUnigram(t *testing.T) {
	var texts, held []string
	for i, line := range strings.SplitAfter(sharedText(t, "train", "tinyshakespeare.txt"), "\n") {
		if i%10 == 1 {
			held = append(held, line)
		} else {
			texts = append(texts, line)
		}
	}
	for _, c := range readTrained(t).Shakespeare {
		if c.SHA256 == "" {
			t.Run(c.Name, func(t *testing.T) { atLeastAsGood(t, c, texts, held) })
		}
	}
}

// randomWords are words of few characters, so that much repeats.
func randomWords(rng *rand.Rand, n int) []word {
	counts := map[string]int64{}
	for range n {
		text := make([]rune, 1+rng.IntN(9))
		for i := range text {
			text[i] = []rune("abé世")[rng.IntN(4)]
		}
		counts[string(text)] += 1 + rng.Int64N(3)
	}
	var words []word
	for _, text := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, word{text, counts[text]})
	}
	return words
}

// slowRepeated is repeated as its definition reads.
func slowRepeated(words []word, longest int) map[string]float64 {
	type seen struct {
		count       int64
		left, right map[rune]bool
	}
	all := map[string]*seen{}
	for _, w := range words {
		text := []rune(w.text)
		for i := range text {
			for n := 2; n <= longest && i+n <= len(text); n++ {
				s := string(text[i : i+n])
				if all[s] == nil {
					all[s] = &seen{left: map[rune]bool{}, right: map[rune]bool{}}
				}
				left, right := rune(-1), rune(-1)
				if i > 0 {
					left = text[i-1]
				}
				if i+n < len(text) {
					right = text[i+n]
				}
				all[s].count += w.count
				all[s].left[left], all[s].right[right] = true, true
			}
		}
	}
	out := map[string]float64{}
	for s, x := range all {
		n := len([]rune(s))
		inside := func(m map[rune]bool) bool { return len(m) == 1 && !m[-1] && n < longest }
		if x.count >= 2 && !inside(x.left) && !inside(x.right) {
			out[s] = float64(x.count) * float64(n)
		}
	}
	return out
}

func TestRepeatedEqualsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		words, longest := randomWords(rng, 1+rng.IntN(30)), 2+rng.IntN(6)
		want := slowRepeated(words, longest)
		got := map[string]float64{}
		for _, p := range repeated(suffixes(words, longest), longest) {
			if _, twice := got[p.text]; twice {
				t.Fatalf("%q comes twice", p.text)
			}
			got[p.text] = p.score
		}
		if !maps.Equal(got, want) {
			t.Fatalf("longest %d: %v\n%v, want\n%v", longest, words, got, want)
		}
	}
}

// TestLatticeEqualsEnumeration goes through all ways to cut words.
func TestLatticeEqualsEnumeration(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		pieces := []piece{{}}
		for _, w := range randomWords(rng, 20) {
			pieces = append(pieces, piece{w.text, -5 * rng.Float64()})
		}
		m := newPieceModel(pieces)
		ids := map[string]int32{}
		for i, p := range pieces[1:] {
			ids[p.text] = int32(i + 1)
		}
		text := randomWords(rng, 1)[0].text
		want, total, best, second := make([]float64, len(pieces)), 0.0, math.Inf(-1), math.Inf(-1)
		var ways func(rest string, path []int32, score float64)
		ways = func(rest string, path []int32, score float64) {
			if rest == "" {
				total += math.Exp(score)
				best = max(best, score)
				if len(path) > 1 {
					second = max(second, score)
				}
				for _, id := range path {
					want[id] += math.Exp(score)
				}
				return
			}
			for i := range rest + "x" {
				if id := ids[rest[:i]]; i > 0 && id > 0 {
					ways(rest[i:], append(slices.Clone(path), id), score+pieces[id].score)
				}
			}
			first := string([]rune(rest)[0])
			if ids[first] == 0 {
				ways(rest[len(first):], append(slices.Clone(path), 0), score+m.unknown)
			}
		}
		ways(text, nil, 0)
		l := &lattice{m: m}
		got := make([]float64, len(pieces))
		z := l.expect(text, 3, got)
		near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*(1+math.Abs(b)) }
		if !near(z, math.Log(total)) {
			t.Fatalf("%q: log-likelihood %v, want %v", text, z, math.Log(total))
		}
		for i := range got {
			if !near(got[i], 3*want[i]/total) {
				t.Fatalf("%q: piece %q expected %v times, want %v", text, pieces[i].text, got[i], 3*want[i]/total)
			}
		}
		if _, s := l.segment(text, true); !near(s, best) {
			t.Fatalf("%q: best score %v, want %v", text, s, best)
		}
		if _, s := l.segment(text, false); s != second && !near(s, second) {
			t.Fatalf("%q: best score of two pieces or more %v, want %v", text, s, second)
		}
	}
}

func TestDigamma(t *testing.T) {
	const euler = 0.57721566490153286
	for _, c := range []struct{ x, want float64 }{{1, -euler}, {2, 1 - euler}, {0.5, -euler - 2*math.Ln2}, {10, 2.251752589066721}} {
		if got := digamma(c.x); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("digamma(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if cmp.Compare(digamma(1e6), math.Log(1e6)) >= 0 {
		t.Error("digamma is not below the logarithm")
	}
}
