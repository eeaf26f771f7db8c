// Package decode makes text token by token: it feeds a prompt through plans
// for several lengths, keeps the key/value cache, samples, decodes, and stops.
//
// A Generator serves one sequence at a time, a Batch several. Sequences that join
// a batch while others are being made are not its business.
package decode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/sampler"
	"pipe.dev/executor/session"
)

// Generator continues sequences of ids. It holds sessions of one model that
// differ in how many positions one call takes, and share states.
type Generator struct {
	steps   []*step // by size, the smallest first
	sizes   []int   // of these
	perCall int     // see pick
	context int     // positions that the cache holds
	vocab   int
	source  *Source

	raw    []byte // logits as the device gives them
	logits []float32
	tokens []int32 // of the current sequence
	past   int     // positions in the cache
	ran    *step   // the last call
}

// step is one session, and the buffers of its inputs.
type step struct {
	run        *session.Session
	ids        string // name of the input
	rows       int    // sequences of one call
	size       int    // positions of each
	input      []byte
	past, last []byte
	source     *Source // nil if text is made of nothing else
}

// New returns a generator over sessions of the entry that continues a
// sequence: inputs of ids [1, size], "past" [1] and "last" [1], output "out"
// [1, 1, vocab] in f32. context is the size "ctx" they were compiled for. source is what text is made of, or nil.
func New(sessions []*session.Session, context int, source *Source) (*Generator, error) {
	g := &Generator{context: context, source: source}
	for _, s := range sessions {
		st, vocab, err := newStep(s, 1, source)
		if err != nil {
			return nil, err
		}
		if g.vocab != 0 && vocab != g.vocab {
			return nil, fmt.Errorf("plans of one model give %d and %d logits", g.vocab, vocab)
		}
		g.vocab = vocab
		g.steps = append(g.steps, st)
	}
	slices.SortFunc(g.steps, func(a, b *step) int { return a.size - b.size })
	if len(g.steps) == 0 || g.steps[0].size != 1 {
		return nil, errors.New("a generator needs a plan for one position")
	}
	for _, st := range g.steps {
		g.sizes = append(g.sizes, st.size)
	}
	g.perCall = perCall(sessions[0])
	g.raw = make([]byte, 4*g.vocab)
	g.logits = make([]float32, g.vocab)
	g.tokens = make([]int32, 0, context)
	return g, nil
}

// newStep is a step over s, whose calls take so many sequences, and the number
// of logits.
func newStep(s *session.Session, rows int, source *Source) (*step, int, error) {
	st := &step{run: s, rows: rows, source: source, past: make([]byte, 4*rows), last: make([]byte, 4*rows)}
	p := s.Plan()
	for _, in := range p.Inputs {
		if in.Name == "past" || in.Name == "last" || in.Name == "lengths" && source != nil {
			continue
		}
		t := in.Place.Type
		if st.ids != "" || t.DType != ir.I32 || t.Rank() != 2 || t.Shape[0].N != rows {
			return nil, 0, fmt.Errorf("input %s is %v: a model that makes text has one input, of ids [batch,seq] in i32", in.Name, t)
		}
		st.ids, st.size = in.Name, t.Shape[1].N
	}
	if st.ids == "" {
		return nil, 0, errors.New("a model that makes text has an input of ids")
	}
	st.input = make([]byte, 4*rows*st.size)
	for _, out := range p.Outputs {
		if t := out.Place.Type; out.Name == "out" && t.DType == ir.F32 && t.Rank() == 3 && t.Shape[1].N == 1 {
			return st, t.Shape[2].N, nil
		}
	}
	return nil, 0, errors.New("a model that makes text has one output, of logits [batch,seq,vocab] in f32")
}

// Vocab is the number of logits.
func (g *Generator) Vocab() int { return g.vocab }

// Context is the number of positions a sequence may have.
func (g *Generator) Context() int { return g.context }

// ContextError says that a sequence is longer than the cache.
type ContextError struct {
	Prompt, Want, Context int // tokens of the prompt, tokens to be made, positions there are
}

func (e *ContextError) Error() string {
	if e.Prompt >= e.Context {
		return fmt.Sprintf("the prompt has %d tokens and the context %d positions: shorten it, or use a model or a context with more",
			e.Prompt, e.Context)
	}
	return fmt.Sprintf("the prompt has %d tokens and %d more were asked for, but the context has %d positions: set max_tokens to %d at most",
		e.Prompt, e.Want, e.Context, e.Context-e.Prompt)
}

// PromptError says why a prompt can't be continued.
type PromptError struct{ Fact string }

func (e *PromptError) Error() string { return "the prompt " + e.Fact }

// Start begins a new sequence with a prompt, and computes what follows it.
// want is how many tokens will be asked for at most.
func (g *Generator) Start(ctx context.Context, prompt []int32, want int) error {
	return g.begin(ctx, prompt, want, 0)
}

// Resume is Start for a prompt that may begin as the sequence before does: of
// what they share nothing is computed again. The bits are the same.
func (g *Generator) Resume(ctx context.Context, prompt []int32, want int) error {
	return g.begin(ctx, prompt, want, g.Shared(prompt))
}

// Shared is of how many tokens of a prompt Resume computes nothing.
func (g *Generator) Shared(prompt []int32) int {
	shared := 0
	for shared < min(g.past, len(prompt)-1) && g.tokens[shared] == prompt[shared] {
		shared++
	}
	return shared
}

// Past is how many positions of the sequence were computed.
func (g *Generator) Past() int { return g.past }

// begin computes a prompt but for its first tokens, which the cache has.
func (g *Generator) begin(ctx context.Context, prompt []int32, want, shared int) error {
	if err := checkPrompt(prompt, want, g.context, g.vocab); err != nil {
		return err
	}
	g.tokens, g.past = append(g.tokens[:0], prompt...), shared
	for g.past < len(prompt) {
		if err := g.call(ctx, g.steps[pick(g.sizes, g.perCall, len(prompt)-g.past)]); err != nil {
			return err
		}
	}
	return nil
}

// checkPrompt says why a prompt can't be continued by so many tokens.
func checkPrompt(prompt []int32, want, context, vocab int) error {
	if len(prompt) == 0 {
		return &PromptError{"is empty, and the tokenizer adds no token to start from"}
	}
	if len(prompt)+want > context {
		return &ContextError{len(prompt), want, context}
	}
	for i, id := range prompt {
		if id < 0 || int(id) >= vocab {
			return &PromptError{fmt.Sprintf("has id %d as token %d, and the model has %d", id, i, vocab)}
		}
	}
	return nil
}

// call feeds the next tokens, as many as st takes. Positions after the last
// token hold id 0; what they put into the cache is overwritten before it is
// seen.
func (g *Generator) call(ctx context.Context, st *step) error {
	n := st.feed(0, g.tokens[g.past:], g.past)
	if err := st.call(ctx); err != nil {
		return err
	}
	if err := st.run.Read("out", g.raw); err != nil {
		return err
	}
	decodeLogits(g.logits, g.raw)
	g.past, g.ran = g.past+n, st
	return nil
}

// feed gives a sequence of the next call the first of its tokens, as many as
// it takes, after so many in the cache. It says how many.
func (st *step) feed(row int, tokens []int32, past int) int {
	n := min(st.size, len(tokens))
	le := binary.LittleEndian
	for i, to := 0, st.input[4*row*st.size:]; i < st.size; i++ {
		var id int32
		if i < n {
			id = tokens[i]
		}
		le.PutUint32(to[4*i:], uint32(id))
	}
	le.PutUint32(st.past[4*row:], uint32(past))
	le.PutUint32(st.last[4*row:], uint32(max(0, n-1)))
	return n
}

// call runs the session on what was fed.
func (st *step) call(ctx context.Context) error {
	if err := st.run.Write(st.ids, st.input); err != nil {
		return err
	}
	if err := st.run.Write("past", st.past); err != nil {
		return err
	}
	if err := st.run.Write("last", st.last); err != nil {
		return err
	}
	if st.source != nil && st.run.Reads("lengths") {
		if err := st.run.Write("lengths", st.source.lengths(st.rows)); err != nil {
			return err
		}
	}
	return st.run.Run(ctx)
}

// decodeLogits turns logits as the device gives them into numbers.
func decodeLogits(to []float32, raw []byte) {
	for i := range to {
		to[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
}

// Next samples the next token from what was computed last.
func (g *Generator) Next(s *sampler.Sampler) (int32, error) {
	return s.Next(g.logits, g.tokens, len(g.tokens))
}

// Push appends a token and computes what follows it. It does not allocate.
func (g *Generator) Push(ctx context.Context, id int32) error {
	if len(g.tokens) >= g.context {
		return &ContextError{len(g.tokens), 1, g.context}
	}
	g.tokens = append(g.tokens, id)
	return g.call(ctx, g.steps[0])
}

// Logits are those of the next token; valid until the next call.
func (g *Generator) Logits() []float32 { return g.logits }

// trace finds where NaN came from, in the last call.
func (g *Generator) trace(ctx context.Context, err error) error {
	if where := g.ran.run.Trace(ctx); where != nil {
		return where
	}
	return err
}
