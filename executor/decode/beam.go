package decode

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math"
	"slices"

	"pipe.dev/executor/sampler"
)

// BeamOptions say how texts are searched for.
type BeamOptions struct {
	Beams int // sequences that are continued at once
	// LengthPenalty is the power of the length by which the log-probability of a
	// text is divided; above 0 favours longer ones.
	LengthPenalty float64
	Stop          BeamStop
}

// BeamStop says when a search ends before texts are as long as they may be.
type BeamStop string

// The ways to end a search, once there are as many finished texts as beams.
const (
	StopHeuristic BeamStop = "no"    // when no text that goes on is better now than the worst of them
	StopFirst     BeamStop = "yes"   // at once
	StopNever     BeamStop = "never" // when no text that goes on may become better
)

// Beam is a text that was found: its ids, that which ends it included, and its
// score, the sum of the logarithms of their probabilities over
// length^LengthPenalty.
type Beam struct {
	IDs   []int32
	Score float64
}

// Beams finds likely texts: at each token it keeps those of the greatest
// probability among all continuations of those it had. It is deterministic; of
// equal ones the first counts.
//
// The search is that of transformers (GenerationMixin.generate with num_beams).
type Beams struct {
	*Batch
	opt BeamOptions
}

// NewBeams returns a search over a batch of opt.Beams sequences.
func NewBeams(o BatchOptions, opt BeamOptions) *Beams { return &Beams{NewBatch(o), opt} }

// hypothesis is a text that is being searched, and its place in the caches.
type hypothesis struct {
	*row
	place int
	sum   float64 // of the logarithms of probabilities
}

// candidate is one continuation of a hypothesis.
type candidate struct {
	of    int // index of the hypothesis
	id    int32
	sum   float64
	ended bool
}

// Search makes the text of r by beam search and returns what was found, the best
// first. Of r.Sampler the repetition penalty counts alone.
func (b *Beams) Search(ctx context.Context, r Request) ([]Beam, error) {
	live, err := b.begin(ctx, &r)
	if err != nil {
		return nil, err
	}
	var found []Beam
	for made := 1; ; made++ {
		top, err := b.candidates(live, &r)
		if nan := (*sampler.NaNError)(nil); errors.As(err, &nan) {
			if where := b.ran.run.Trace(ctx); where != nil {
				err = where
			}
		}
		if err != nil {
			return nil, err
		}
		for i, c := range top {
			top[i].ended = made == r.MaxTokens || slices.Contains(r.End, c.id)
		}
		found = b.finish(found, live, top, made, len(r.Prompt))
		next := slices.DeleteFunc(slices.Clone(top), func(c candidate) bool { return c.ended })
		next = next[:min(len(next), b.opt.Beams)]
		if len(next) == 0 || b.done(found, next[0].sum, made, r.MaxTokens) {
			return found, nil
		}
		if live, err = b.advance(live, next); err != nil {
			return nil, err
		}
		if err := b.compute(ctx, live); err != nil {
			return nil, err
		}
	}
}

// Text makes the best text that a search finds. It ends before a stop string.
func (b *Beams) Text(ctx context.Context, r Request) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		found, err := b.Search(ctx, r)
		hold := holder{stop: r.Stop}
		for i := 0; err == nil && i < len(found[0].IDs); i++ {
			id := found[0].IDs[i]
			if slices.Contains(r.End, id) {
				break
			}
			var text string
			if text, err = r.Decoder.Push(id); err != nil {
				break
			}
			text, stopped := hold.push(text)
			if !yield(Piece{id, text}, nil) || stopped {
				return
			}
		}
		if err != nil {
			yield(Piece{}, err)
			return
		}
		rest, stopped := hold.push(r.Decoder.Flush())
		if !stopped {
			rest += hold.held
		}
		if rest != "" {
			yield(Piece{NoToken, rest}, nil)
		}
	}
}

// begin computes the prompt, in the first place.
func (b *Beams) begin(ctx context.Context, r *Request) ([]hypothesis, error) {
	if _, err := b.step(Shape{b.opt.Beams, 1}); err != nil { // tells the number of logits
		return nil, err
	}
	if b.o.Source != nil {
		if err := b.o.Source.read(ctx, r); err != nil {
			return nil, err
		}
	}
	if err := checkPrompt(r.Prompt, r.MaxTokens, b.o.Context, b.vocab); err != nil {
		return nil, err
	}
	first := &row{tokens: slices.Clone(r.Prompt), logits: make([]float32, b.vocab)}
	b.active = []*row{first}
	for first.past < len(first.tokens) {
		s := promptShape([]int{len(first.tokens) - first.past}, b.o.Context)
		if err := b.call(ctx, s); err != nil {
			return nil, err
		}
	}
	return []hypothesis{{row: first}}, nil
}

// candidates are the likeliest continuations, so many that as many as there are
// beams go on even if all others end.
func (b *Beams) candidates(live []hypothesis, r *Request) ([]candidate, error) {
	most := max(2, 1+len(r.End)) * b.opt.Beams
	var top []candidate
	better := func(x, y candidate) int { return cmp.Compare(y.sum, x.sum) }
	for i, h := range live {
		logs, err := logProbabilities(h.logits, len(h.tokens))
		if err != nil {
			return nil, err
		}
		penalise(logs, h.tokens, r.Sampler.RepetitionPenalty)
		for id, p := range logs {
			c := candidate{of: i, id: int32(id), sum: h.sum + p}
			if len(top) == most && better(top[most-1], c) <= 0 {
				continue
			}
			at, _ := slices.BinarySearchFunc(top, c, func(x, y candidate) int {
				if better(x, y) <= 0 {
					return -1 // equal ones stay before
				}
				return 1
			})
			top = slices.Insert(top, at, c)
			top = top[:min(len(top), most)]
		}
	}
	return top, nil
}

// logProbabilities are the logarithms of softmax of the logits at a position.
func logProbabilities(logits []float32, position int) ([]float64, error) {
	most := math.Inf(-1)
	for i, x := range logits {
		if x != x || math.IsInf(float64(x), 1) {
			return nil, &sampler.NaNError{Position: position, Index: i, Value: x}
		}
		most = max(most, float64(x))
	}
	if math.IsInf(most, -1) {
		return nil, &sampler.NaNError{Position: position, Index: -1, Value: float32(most)}
	}
	var sum float64
	for _, x := range logits {
		sum += math.Exp(float64(x) - most)
	}
	out := make([]float64, len(logits))
	for i, x := range logits {
		out[i] = float64(x) - most - math.Log(sum)
	}
	return out, nil
}

// penalise makes tokens that occurred less likely.
func penalise(logs []float64, tokens []int32, penalty float64) {
	if penalty == 1 || penalty == 0 {
		return
	}
	seen := map[int32]bool{}
	for _, id := range tokens {
		if !seen[id] {
			seen[id] = true
			logs[id] *= penalty // they are below 0
		}
	}
}

// finish adds texts that end, of the best candidates alone, and keeps the best.
func (b *Beams) finish(found []Beam, live []hypothesis, top []candidate, made, prompt int) []Beam {
	if len(found) == b.opt.Beams && b.opt.Stop == StopFirst {
		return found
	}
	for _, c := range top[:min(len(top), b.opt.Beams)] {
		if c.ended {
			ids := append(slices.Clone(live[c.of].tokens[prompt:]), c.id)
			found = append(found, Beam{ids, c.sum / math.Pow(float64(made), b.opt.LengthPenalty)})
		}
	}
	slices.SortStableFunc(found, func(x, y Beam) int { return cmp.Compare(y.Score, x.Score) })
	return found[:min(len(found), b.opt.Beams)]
}

// done says that the search is over: best is the greatest sum of texts that go on.
func (b *Beams) done(found []Beam, best float64, made, most int) bool {
	if len(found) < b.opt.Beams {
		return false
	}
	length := made
	if b.opt.Stop == StopNever && b.opt.LengthPenalty > 0 {
		length = most
	}
	return b.opt.Stop == StopFirst || best/math.Pow(float64(length), b.opt.LengthPenalty) <= found[len(found)-1].Score
}

// advance gives every continuation a place in the caches. The first of a text
// stays where that is; others take places of texts that do not go on, to which
// the caches are copied from the position on where the two differ.
func (b *Beams) advance(live []hypothesis, next []candidate) ([]hypothesis, error) {
	var free []int
	held := make([][]int32, b.opt.Beams) // tokens of which a place holds keys and values
	stays := make([]bool, len(live))
	for _, c := range next {
		stays[c.of] = true
	}
	for place := range b.opt.Beams {
		i := slices.IndexFunc(live, func(h hypothesis) bool { return h.place == place })
		if i >= 0 {
			held[place] = live[i].tokens
		}
		if i < 0 || !stays[i] {
			free = append(free, place)
		}
	}
	out := make([]hypothesis, len(next))
	for i, c := range next {
		from := live[c.of]
		h := hypothesis{row: &row{tokens: append(slices.Clone(from.tokens), c.id), past: from.past, logits: make([]float32, b.vocab)}, sum: c.sum, place: from.place}
		if !stays[c.of] { // someone stays there
			h.place, free = free[0], free[1:]
			same := 0
			for same < min(len(held[h.place]), from.past) && held[h.place][same] == from.tokens[same] {
				same++
			}
			if err := b.o.Move(from.place, h.place, same, from.past); err != nil {
				return nil, err
			}
		}
		stays[c.of] = false
		out[i] = h
	}
	return out, nil
}

// compute makes the logits after the last token of each text.
func (b *Beams) compute(ctx context.Context, live []hypothesis) error {
	b.active = make([]*row, b.opt.Beams)
	for i := range b.active {
		b.active[i] = &row{}
	}
	for _, h := range live {
		b.active[h.place] = h.row
	}
	return b.call(ctx, Shape{b.opt.Beams, 1})
}
