package decode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pipe.dev/executor/sampler"
	"pipe.dev/executor/session"
)

// Batch continues several sequences at once: a step reads the weights once for
// all of them. Each gives the bits that it gives alone. Sequences that are
// finished leave; those that remain move together.
type Batch struct {
	o      BatchOptions
	steps  map[Shape]*step
	vocab  int
	raw    []byte // logits as the device gives them
	active []*row // by their place in the caches
	ran    *step  // the last call
}

// BatchOptions say what a Batch runs on.
type BatchOptions struct {
	Rows    int // sequences at once at most
	Context int // positions that the caches hold of each
	// Session is that for calls of a shape, of which Shapes lists those needed;
	// its inputs and output are as New says, with Rows instead of 1.
	Session func(s Shape) (*session.Session, error)
	// Move copies what the caches hold of a sequence from the position first to
	// that before end.
	Move func(from, to, first, end int) error
	// Source, if set, is what texts are made of.
	Source *Source
}

// Shape is how many sequences a call takes, and how many positions of each.
type Shape struct{ Rows, Size int }

// Made is a text that was made.
type Made struct {
	IDs  []int32
	Text string
}

// row is a sequence that is being made.
type row struct {
	w      *writer
	of     int // index among the requests
	tokens []int32
	past   int // positions in the caches
	logits []float32
	text   strings.Builder
	prompt int
}

// sizes are the numbers of positions for which calls are compiled, and limit
// how many positions of all sequences a call takes.
var sizes = []int{1, 8, 32, 128, 512}

const limit = 512

// rowsFor is the number of sequences of the call that n go into: 1 to 4, then
// two for each power of two.
func rowsFor(n int) int {
	part := 1
	for part*4 < n {
		part *= 2
	}
	return (n + part - 1) / part * part
}

// promptShape is the next call for sequences of which so many tokens are to be
// computed, most first, of at most context positions. Those that have none left
// take no part; at least half of the positions of a long call are of use.
func promptShape(pending []int, context int) Shape {
	n := 0
	for n < len(pending) && pending[n] > 0 {
		n++
	}
	s := Shape{Rows: rowsFor(n), Size: sizes[0]}
	for _, size := range sizes[1:] {
		useful := 0
		for _, p := range pending[:n] {
			useful += min(p, size)
		}
		if s.Size >= pending[0] || size > context || size > sizes[1] && (s.Rows*size > limit || 2*useful < s.Rows*size) {
			break
		}
		s.Size = size
	}
	return s
}

// Shapes lists the calls that prompts of these lengths need, so many at once,
// with room for so many positions.
func Shapes(prompts []int, rows, context int) []Shape {
	found := map[Shape]bool{}
	for group := range slices.Chunk(longestFirst(prompts), rows) {
		pending := make([]int, len(group))
		for i, at := range group {
			pending[i] = prompts[at]
		}
		for pending[0] > 0 {
			s := promptShape(pending, context)
			found[s] = true
			for i := range pending {
				pending[i] = max(0, pending[i]-s.Size)
			}
		}
		for n := range len(group) {
			found[Shape{rowsFor(n + 1), 1}] = true
		}
	}
	var list []Shape
	for s := range found {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Shape) int { return 1000000*(a.Rows-b.Rows) + a.Size - b.Size })
	return list
}

// Places is how many sequences the caches must have room for.
func Places(prompts, rows int) int { return rowsFor(min(prompts, rows)) }

// longestFirst is the order of prompts: sequences of one length need the fewest
// calls together.
func longestFirst(lengths []int) []int {
	order := make([]int, len(lengths))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return lengths[b] - lengths[a] })
	return order
}

// NewBatch returns what makes several texts at once.
func NewBatch(o BatchOptions) *Batch { return &Batch{o: o, steps: map[Shape]*step{}} }

// Texts makes the texts of all requests. done, which may be nil, is told of each
// as it is finished.
func (b *Batch) Texts(ctx context.Context, list []Request, done func(i int, m Made)) ([]Made, error) {
	lengths := make([]int, len(list))
	for i, r := range list {
		lengths[i] = len(r.Prompt)
	}
	out := make([]Made, len(list))
	for group := range slices.Chunk(longestFirst(lengths), b.o.Rows) {
		if err := b.start(list, group); err != nil {
			return nil, err
		}
		err := b.run(ctx, func(r *row) {
			r.text.WriteString(r.w.rest())
			out[r.of] = Made{r.tokens[r.prompt:], r.text.String()}
			if done != nil {
				done(r.of, out[r.of])
			}
		})
		if nan := (*sampler.NaNError)(nil); errors.As(err, &nan) {
			if where := b.ran.run.Trace(ctx); where != nil {
				err = where
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// start checks requests and gives them places, those with the most tokens first.
func (b *Batch) start(list []Request, group []int) error {
	if _, err := b.step(Shape{rowsFor(len(group)), 1}); err != nil { // tells the number of logits
		return err
	}
	b.active = b.active[:0]
	for _, at := range group {
		r := &list[at]
		if err := checkPrompt(r.Prompt, r.MaxTokens, b.o.Context, b.vocab); err != nil {
			return fmt.Errorf("prompt %d: %w", at+1, err)
		}
		w, err := newWriter(r, b.vocab)
		if err != nil {
			return err
		}
		b.active = append(b.active, &row{w: w, of: at, tokens: append(make([]int32, 0, len(r.Prompt)+r.MaxTokens), r.Prompt...),
			logits: make([]float32, b.vocab), prompt: len(r.Prompt)})
	}
	return nil
}

// run computes the prompts, and then a token of each text after the other.
func (b *Batch) run(ctx context.Context, finished func(*row)) error {
	for len(b.active) > 0 {
		pending := make([]int, len(b.active))
		for i, r := range b.active {
			pending[i] = len(r.tokens) - r.past
		}
		for pending[0] > 0 {
			s := promptShape(pending, b.o.Context)
			if err := b.call(ctx, s); err != nil {
				return err
			}
			for i := range pending {
				pending[i] = max(0, pending[i]-s.Size)
			}
		}
		if err := b.choose(finished); err != nil {
			return err
		}
	}
	return nil
}

// choose makes the next token of every text. The last text moves to the place of
// one that is finished.
func (b *Batch) choose(finished func(*row)) error {
	for i := 0; i < len(b.active); {
		r := b.active[i]
		p, more, err := r.w.next(r.logits, r.tokens)
		if err != nil {
			return err
		}
		if p != noPiece {
			r.tokens = append(r.tokens, p.ID)
			r.text.WriteString(p.Text)
		}
		if more {
			i++
			continue
		}
		finished(r)
		last := len(b.active) - 1
		if i < last {
			if err := b.o.Move(last, i, 0, b.active[last].past); err != nil {
				return err
			}
			b.active[i] = b.active[last]
		}
		b.active = b.active[:last]
	}
	return nil
}

// call feeds the first sequences of the batch their next tokens. What it writes
// into the caches of places that no sequence has, and beyond the tokens of one,
// is overwritten before it is seen.
func (b *Batch) call(ctx context.Context, s Shape) error {
	st, err := b.step(s)
	if err != nil {
		return err
	}
	fed := make([]int, s.Rows)
	for i := range s.Rows {
		if i >= len(b.active) {
			st.feed(i, nil, 0)
			continue
		}
		r := b.active[i]
		fed[i] = st.feed(i, r.tokens[r.past:], r.past)
		r.past += fed[i]
	}
	b.ran = st
	if err := st.call(ctx); err != nil {
		return err
	}
	raw := b.raw[:4*b.vocab*s.Rows]
	if err := st.run.Read("out", raw); err != nil {
		return err
	}
	for i, n := range fed {
		if n > 0 {
			decodeLogits(b.active[i].logits, raw[4*b.vocab*i:])
		}
	}
	return nil
}

// step is that of a shape, made at its first call.
func (b *Batch) step(s Shape) (*step, error) {
	if st, ok := b.steps[s]; ok {
		return st, nil
	}
	run, err := b.o.Session(s)
	if err != nil {
		return nil, err
	}
	st, vocab, err := newStep(run, s.Rows, b.o.Source)
	if err != nil {
		return nil, err
	}
	b.steps[s], b.vocab = st, vocab
	b.raw = slices.Grow(b.raw[:0], 4*vocab*s.Rows)
	return st, nil
}
