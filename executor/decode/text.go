package decode

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"pipe.dev/executor/sampler"
)

// Decoder turns ids into text, one by one.
type Decoder interface {
	// Push returns the text that is certain after id.
	Push(id int32) (string, error)
	// Flush returns the rest.
	Flush() string
}

// Request is one text to be made.
type Request struct {
	Prompt    []int32
	Source    []int32   // ids that the text is made of, of a model that reads some
	Signal    []float32 // or the signal
	MaxTokens int
	Sampler   sampler.Options
	End       []int32  // ids that end a text and are no part of it
	Stop      []string // strings that end a text and are no part of it
	Decoder   Decoder
	Resume    bool // of what the sequence before shares, nothing is computed again
	// Bias, if there is one, changes the logits of the next token, given those that were made.
	Bias func(logits []float32, made []int32)
}

// Piece is one token that was made, and the text that became certain by it.
// The last piece of a text may have the ID NoToken.
type Piece struct {
	ID   int32
	Text string
}

// NoToken is the ID of a piece that holds only the rest of the text.
const NoToken = -1

// Text makes a text, token by token. A break in the loop over it ends it.
func (g *Generator) Text(ctx context.Context, r Request) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		w, err := newWriter(&r, g.vocab)
		if err == nil {
			start := g.Start
			if r.Resume {
				start = g.Resume
			}
			if g.source != nil {
				err = g.source.read(ctx, &r)
			}
			if err == nil {
				err = start(ctx, r.Prompt, r.MaxTokens)
			}
		}
		for more := true; more && err == nil; {
			var p Piece
			p, more, err = w.next(g.logits, g.tokens)
			if nan := (*sampler.NaNError)(nil); errors.As(err, &nan) {
				err = g.trace(ctx, err)
			}
			if err != nil {
				break
			}
			if p != noPiece && !yield(p, nil) {
				return
			}
			if more {
				err = g.Push(ctx, p.ID)
			}
		}
		if err != nil {
			yield(Piece{}, err)
			return
		}
		if rest := w.rest(); rest != "" {
			yield(Piece{NoToken, rest}, nil)
		}
	}
}

// Hear computes what is remembered of a signal, and what follows a prompt.
func (g *Generator) Hear(ctx context.Context, signal []float32, prompt []int32) error {
	if g.source == nil {
		return errors.New("the model makes text of no source")
	}
	if err := g.source.read(ctx, &Request{Signal: signal}); err != nil {
		return err
	}
	return g.Start(ctx, prompt, 1)
}

// Signal is how many numbers a text is made of; 0 if it is made of no signal.
func (g *Generator) Signal() int {
	if g.source == nil {
		return 0
	}
	return g.source.Signal()
}

// writer makes one text out of logits.
type writer struct {
	r       *Request
	s       *sampler.Sampler
	hold    holder
	made    int
	stopped bool // by a stop string
}

// noPiece says that nothing was made.
var noPiece = Piece{ID: NoToken}

func newWriter(r *Request, vocab int) (*writer, error) {
	s, err := sampler.New(vocab, r.Sampler)
	return &writer{r: r, s: s, hold: holder{stop: r.Stop}}, err
}

// next makes a token that follows tokens, of the logits there. more says that
// another one may come after it.
func (w *writer) next(logits []float32, tokens []int32) (p Piece, more bool, err error) {
	if w.made >= w.r.MaxTokens {
		return noPiece, false, nil
	}
	if w.r.Bias != nil {
		w.r.Bias(logits, tokens[len(w.r.Prompt):])
	}
	id, err := w.s.Next(logits, tokens, len(tokens))
	if err != nil || slices.Contains(w.r.End, id) {
		return noPiece, false, err
	}
	text, err := w.r.Decoder.Push(id)
	if err != nil {
		return noPiece, false, err
	}
	text, w.stopped = w.hold.push(text)
	w.made++
	return Piece{id, text}, !w.stopped && w.made < w.r.MaxTokens, nil
}

// rest is the end of the text.
func (w *writer) rest() string {
	if w.stopped {
		return ""
	}
	rest, stopped := w.hold.push(w.r.Decoder.Flush())
	if !stopped {
		rest += w.hold.held
	}
	return rest
}

// holder keeps back text that may be the beginning of a stop string.
type holder struct {
	stop []string
	held string
}

// push returns the text that is certainly no part of a stop string, and
// whether one was completed.
func (h *holder) push(text string) (string, bool) {
	if len(h.stop) == 0 {
		return text, false
	}
	h.held += text
	first := -1
	for _, s := range h.stop {
		if i := strings.Index(h.held, s); s != "" && i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		out := h.held[:first]
		h.held = ""
		return out, true
	}
	keep := 0
	for _, s := range h.stop {
		for n := min(len(s)-1, len(h.held)); n > keep; n-- {
			if strings.HasSuffix(h.held, s[:n]) {
				keep = n
			}
		}
	}
	out := h.held[:len(h.held)-keep]
	h.held = h.held[len(h.held)-keep:]
	return out, false
}
