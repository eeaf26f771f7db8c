package sampler

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestProbabilities compares with transformers; testdata/golden/sampler.py made the values.
func TestProbabilities(t *testing.T) {
	data, err := os.ReadFile("../../testdata/golden/sampler/probabilities.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Logits map[string][]float32
		Cases  []struct {
			Logits string
			IDs    []int32
			Params struct {
				Temperature       *float64
				TopK              int     `json:"top_k"`
				TopP              float64 `json:"top_p"`
				MinP              float64 `json:"min_p"`
				RepetitionPenalty float64 `json:"repetition_penalty"`
			}
			Probabilities []float64
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) != 268 {
		t.Fatalf("%d cases, want 268", len(golden.Cases))
	}
	worst := 0.0
	for i, c := range golden.Cases {
		o := Options{Temperature: 1, TopK: c.Params.TopK, TopP: c.Params.TopP, MinP: c.Params.MinP, RepetitionPenalty: c.Params.RepetitionPenalty}
		if c.Params.Temperature != nil {
			o.Temperature = *c.Params.Temperature
		}
		logits := golden.Logits[c.Logits]
		s, err := New(len(logits), o)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]float64, len(logits))
		if err := s.Probabilities(p, logits, c.IDs, 0); err != nil {
			t.Fatal(err)
		}
		for id, want := range c.Probabilities {
			if (p[id] == 0) != (want == 0) {
				t.Errorf("case %d %s %+v: token %d has %v, want %v", i, c.Logits, o, id, p[id], want)
			} else if want > 0 {
				worst = max(worst, math.Abs(p[id]/want-1))
			}
		}
	}
	if worst > 1e-12 {
		t.Errorf("relative error %.2g, want at most 1e-12", worst)
	}
}

// TestSelection holds the selection by buckets against sorting everything, at sizes and spreads that the golden cases do not have.
func TestSelection(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for trial := range 300 {
		vocab := 1 + r.IntN(3000)
		logits := make([]float32, vocab)
		spread := math.Exp(8*r.Float64() - 4)
		for i := range logits {
			logits[i] = float32(spread * r.NormFloat64())
			if trial%3 == 0 {
				logits[i] = float32(math.Round(float64(logits[i]))) // many ties
			}
			if trial%5 == 0 && i%7 == 0 {
				logits[i] = float32(math.Inf(-1))
			}
		}
		logits[r.IntN(vocab)] = float32(spread)
		o := Options{Temperature: math.Exp(4*r.Float64() - 2)}
		if r.IntN(3) > 0 {
			o.TopK = 1 + r.IntN(2*vocab)
		}
		if r.IntN(3) > 0 {
			o.TopP = 1 - math.Pow(10, -4*r.Float64())*0.999
		}
		s, err := New(vocab, o)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float64, vocab)
		if err := s.Probabilities(got, logits, nil, 0); err != nil {
			t.Fatal(err)
		}
		want := bySorting(logits, o)
		for id := range got {
			if math.Abs(got[id]-want[id]) > 1e-12 {
				t.Fatalf("trial %d, %+v, vocabulary of %d, token %d: %v, want %v", trial, o, vocab, id, got[id], want[id])
			}
		}
	}
}

// bySorting is temperature, top-k and top-p by their definitions.
func bySorting(logits []float32, o Options) []float64 {
	ids := make([]int, len(logits))
	p := make([]float64, len(logits))
	for i := range ids {
		ids[i] = i
	}
	slices.SortStableFunc(ids, func(a, b int) int { return -cmpFloat(logits[a], logits[b]) })
	if o.TopK > 0 && o.TopK < len(ids) {
		k := o.TopK
		for k < len(ids) && logits[ids[k]] == logits[ids[o.TopK-1]] {
			k++
		}
		ids = ids[:k]
	}
	total := 0.0
	for _, id := range ids {
		p[id] = math.Exp((float64(logits[id]) - float64(logits[ids[0]])) / o.Temperature)
		total += p[id]
	}
	if o.TopP > 0 {
		enough, above := o.TopP*total, 0.0
		total = 0
		for _, id := range ids {
			w := p[id]
			if above >= enough {
				p[id] = 0
			}
			above += w
			total += p[id]
		}
	}
	for id := range p {
		p[id] /= total
	}
	return p
}

func cmpFloat(a, b float32) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// TestNextFollowsProbabilities draws many positions and compares the counts with the probabilities by chi-square.
func TestNextFollowsProbabilities(t *testing.T) {
	logits := []float32{0, 1, 2, float32(math.Inf(-1)), 1.5, -3, 0.2, 0.2}
	s, err := New(len(logits), Options{Temperature: 0.9, TopP: 0.97, Seed: 42})
	if err != nil {
		t.Fatal(err)
	}
	p := make([]float64, len(logits))
	if err := s.Probabilities(p, logits, nil, 0); err != nil {
		t.Fatal(err)
	}
	const draws = 200_000
	count := make([]int, len(logits))
	for position := range draws {
		id, err := s.Next(logits, nil, position)
		if err != nil {
			t.Fatal(err)
		}
		count[id]++
	}
	chi2 := 0.0
	for id, want := range p {
		if want == 0 {
			if count[id] != 0 {
				t.Errorf("token %d has no chance and was drawn %d times", id, count[id])
			}
			continue
		}
		d := float64(count[id]) - want*draws
		chi2 += d * d / (want * draws)
	}
	if chi2 > 22.5 { // p = 0.001 at 6 degrees of freedom; the draws are fixed, so this cannot flake
		t.Errorf("chi-square %.1f, counts %v, probabilities %v", chi2, count, p)
	}
}

// TestDrawDependsOnPositionAlone: not on the calls before, nor on which sampler it is.
func TestDrawDependsOnPositionAlone(t *testing.T) {
	logits := make([]float32, 500)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range logits {
		logits[i] = float32(r.NormFloat64())
	}
	o := Options{Temperature: 1.2, TopK: 200, RepetitionPenalty: 1.1, Seed: 7}
	s, _ := New(len(logits), o)
	history := []int32{5, 6, 7}
	var forward []int32
	for position := range 100 {
		id, err := s.Next(logits, history, position)
		if err != nil {
			t.Fatal(err)
		}
		forward = append(forward, id)
	}
	other, _ := New(len(logits), o)
	for position := 99; position >= 0; position-- {
		for range position % 3 {
			if _, err := other.Next(logits, nil, 1000+position); err != nil {
				t.Fatal(err)
			}
		}
		if id, _ := other.Next(logits, history, position); id != forward[position] {
			t.Fatalf("position %d: %d, and %d in another order of calls", position, forward[position], id)
		}
	}
	o.Seed = 8
	other, _ = New(len(logits), o)
	same := 0
	for position, want := range forward {
		if id, _ := other.Next(logits, history, position); id == want {
			same++
		}
	}
	if same > 30 {
		t.Errorf("another seed draws the same token at %d of 100 positions", same)
	}
}

func TestGreedy(t *testing.T) {
	for _, c := range []struct {
		logits  []float32
		o       Options
		history []int32
		want    int32
	}{
		{[]float32{1, 3, 2}, Options{}, nil, 1},
		{[]float32{2, 3, 3, 3}, Options{}, []int32{1}, 1},
		{[]float32{float32(math.Inf(-1)), -5}, Options{}, nil, 1},
		{[]float32{2, 3}, Options{RepetitionPenalty: 2}, []int32{1, 1, 1}, 0},
		{[]float32{-2, -3}, Options{RepetitionPenalty: 2}, []int32{0}, 1},
		{[]float32{3, 2}, Options{TopK: 1, TopP: 0.1, MinP: 1, Seed: 9}, nil, 0},
	} {
		s, err := New(len(c.logits), c.o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Next(c.logits, c.history, 0)
		if err != nil || got != c.want {
			t.Errorf("%v %+v after %v: %d, %v; want %d", c.logits, c.o, c.history, got, err, c.want)
		}
		p := make([]float64, len(c.logits))
		if err := s.Probabilities(p, c.logits, c.history, 0); err != nil || p[c.want] != 1 || sum(p) != 1 {
			t.Errorf("%v: probabilities %v, %v", c.logits, p, err)
		}
	}
}

func TestNotNumbers(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		logits []float32
		index  int
		text   string
	}{
		{[]float32{1, nan, nan}, 1, "position 12: the logit of token 1 is NaN"},
		{[]float32{nan}, 0, "position 12: the logit of token 0 is NaN"},
		{[]float32{-inf, 2, inf}, 2, "position 12: the logit of token 2 is +Inf"},
		{[]float32{-inf, -inf}, -1, "position 12: no token is left to choose: every logit is -Inf"},
	} {
		for _, o := range []Options{{}, {Temperature: 1}, {Temperature: 0.5, TopK: 1, TopP: 0.9, MinP: 0.1, RepetitionPenalty: 1.3}} {
			s, err := New(len(c.logits), o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Next(c.logits, []int32{0}, 12)
			var ne *NaNError
			if !errors.As(err, &ne) || ne.Index != c.index || ne.Position != 12 || err.Error() != c.text {
				t.Errorf("%v: %v, want %q", c.logits, err, c.text)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		vocab int
		o     Options
		want  string
	}{
		{0, Options{}, "vocabulary of 0 tokens"},
		{4, Options{Temperature: -1}, "temperature: -1 is not"},
		{4, Options{Temperature: math.NaN()}, "temperature: NaN is not"},
		{4, Options{Temperature: math.Inf(1)}, "temperature: +Inf is not"},
		{4, Options{Temperature: 1e-310}, "too small"},
		{4, Options{TopK: -3}, "top_k: -3 is negative"},
		{4, Options{TopP: 1.5}, "top_p: 1.5 is not between 0 and 1"},
		{4, Options{TopP: math.NaN()}, "top_p: NaN"},
		{4, Options{MinP: -0.1}, "min_p: -0.1 is not between 0 and 1"},
		{4, Options{RepetitionPenalty: -2}, "repetition_penalty: -2 is not"},
		{4, Options{RepetitionPenalty: math.Inf(1)}, "repetition_penalty: +Inf is not"},
	} {
		if _, err := New(c.vocab, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d %+v: %v, want %q", c.vocab, c.o, err, c.want)
		}
	}
	s, _ := New(4, Options{Temperature: 1, RepetitionPenalty: 1.1})
	if _, err := s.Next(make([]float32, 3), nil, 5); err == nil || err.Error() != "position 5: got 3 logits, but the vocabulary has 4 tokens" {
		t.Error(err)
	}
	for _, id := range []int32{-1, 4} {
		want := fmt.Sprintf("position 5: token 1 of the history is %d, outside the vocabulary of 4", id)
		if _, err := s.Next(make([]float32, 4), []int32{2, id}, 5); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := s.Probabilities(make([]float64, 3), make([]float32, 4), nil, 0); err == nil {
		t.Error("3 probabilities of 4 tokens went without an error")
	}
}

// TestExtremes: options at the ends of their ranges leave a distribution.
func TestExtremes(t *testing.T) {
	logits := []float32{math.MaxFloat32, -math.MaxFloat32, 0, 1e-40, float32(math.Inf(-1)), math.MaxFloat32}
	for _, temperature := range []float64{1e-300, 1e-9, 1, 1e9, 1e300, math.MaxFloat64} {
		for _, penalty := range []float64{0, 1e-300, 5e-324, 1e300, math.MaxFloat64} {
			for _, k := range []int{0, 1, 2, 5, 99} {
				for _, p := range []float64{0, 1e-300, 0.5, math.Nextafter(1, 0)} {
					o := Options{Temperature: temperature, RepetitionPenalty: penalty, TopK: k, TopP: p, MinP: p}
					s, err := New(len(logits), o)
					if err != nil {
						t.Fatal(err)
					}
					dst := make([]float64, len(logits))
					if err := s.Probabilities(dst, logits, []int32{0, 1, 2, 3, 4}, 0); err != nil {
						t.Fatalf("%+v: %v", o, err)
					}
					if total := sum(dst); !(math.Abs(total-1) < 1e-12) || dst[4] != 0 {
						t.Fatalf("%+v: %v sums to %v", o, dst, total)
					}
				}
			}
		}
	}
}

func TestAllocations(t *testing.T) {
	logits := realistic(5000)
	history := []int32{1, 2, 3, 2, 1}
	for _, o := range []Options{
		{},
		{RepetitionPenalty: 1.1},
		{Temperature: 1},
		{Temperature: 0.8, TopK: 40},
		{Temperature: 0.8, TopP: 0.9},
		{Temperature: 0.8, TopK: 400, TopP: 0.95, MinP: 0.01, RepetitionPenalty: 1.2},
	} {
		s, err := New(len(logits), o)
		if err != nil {
			t.Fatal(err)
		}
		position := 0
		if n := testing.AllocsPerRun(50, func() {
			if _, err := s.Next(logits, history, position); err != nil {
				t.Error(err)
			}
			position++
		}); n != 0 {
			t.Errorf("%+v: %v allocations per token", o, n)
		}
	}
}
