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
	MaxTokens int
	Sampler   sampler.Options
	End       []int32  // ids that end a text and are no part of it
	Stop      []string // strings that end a text and are no part of it
	Decoder   Decoder
	Resume    bool // of what the sequence before shares, nothing is computed again
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
		s, err := sampler.New(g.vocab, r.Sampler)
		if err == nil {
			start := g.Start
			if r.Resume {
				start = g.Resume
			}
			err = start(ctx, r.Prompt, r.MaxTokens)
		}
		if err != nil {
			yield(Piece{}, err)
			return
		}
		hold := holder{stop: r.Stop}
		for n := range r.MaxTokens {
			id, err := g.Next(s)
			if nan := (*sampler.NaNError)(nil); errors.As(err, &nan) {
				err = g.trace(ctx, err)
			}
			if err != nil {
				yield(Piece{}, err)
				return
			}
			if slices.Contains(r.End, id) {
				break
			}
			text, err := r.Decoder.Push(id)
			if err != nil {
				yield(Piece{}, err)
				return
			}
			text, stopped := hold.push(text)
			if !yield(Piece{id, text}, nil) || stopped {
				return
			}
			if n+1 == r.MaxTokens {
				break
			}
			if err := g.Push(ctx, id); err != nil {
				yield(Piece{}, err)
				return
			}
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
