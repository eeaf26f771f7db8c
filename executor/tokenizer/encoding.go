package tokenizer

import (
	"fmt"
	"slices"
)

// Encoding is a text, or a pair of texts, as a model reads it. All lists have one entry for each token.
type Encoding struct {
	IDs       []int32
	Tokens    []string    // as the vocabulary spells them; of added and unknown tokens what the text has there
	Types     []int32     // which text a token belongs to, as the post-processor numbers them
	Offsets   []Span      // in the text that a token comes from; 0 to 0 where it comes from none
	Words     []int32     // number of the piece that the pre-tokenizer made, -1 of tokens that belong to none
	Special   []bool      // put there by the post-processor, or padding
	Attention []bool      // false of padding
	Overflow  []*Encoding // what truncation cut off, in pieces of the same length, if that was asked for
}

// EncodeOptions say how EncodeFull encodes.
type EncodeOptions struct {
	Pair    *string // a second text
	Special bool    // the post-processor adds its tokens
	Bytes   bool    // offsets count bytes, not characters
	Limit   int     // if not 0, the result has at most so many tokens, and what the file says of lengths does not count

	// Overflow keeps what truncation cuts off: of one text, pieces that overlap by the stride; of a pair, every
	// piece of one with every piece of the other, as the Rust library joins them.
	Overflow bool
}

// EncodeFull encodes a text with all that is known of its tokens. As the file asks, the result is cut and padded;
// padding to the longest of a batch is Pad.
func (t *Tokenizer) EncodeFull(text string, o EncodeOptions) (*Encoding, error) {
	texts := []string{text}
	if o.Pair != nil {
		texts = append(texts, *o.Pair)
	}
	var list []*Encoding
	for i, text := range texts {
		e, err := t.encoding(text, int32(i), o)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	cut, pad := t.truncation, t.padding
	if o.Limit > 0 {
		cut, pad = &truncation{length: o.Limit, strategy: "LongestFirst", left: cut != nil && cut.left}, nil
	}
	if cut != nil {
		if err := cut.cut(list, t.toAdd(o), o.Overflow); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	if t.post != nil {
		list = t.post.process(list, o.Special)
	}
	e := list[0]
	for _, more := range list[1:] {
		e.join(more)
	}
	if pad != nil {
		pad.pad([]*Encoding{e})
	}
	return e, nil
}

// encoding is one text without what is done to it in the end.
func (t *Tokenizer) encoding(text string, number int32, o EncodeOptions) (*Encoding, error) {
	if at := invalidUTF8(text); at >= 0 {
		return nil, fmt.Errorf("text is not UTF-8 at byte %d", at)
	}
	e := &Encoding{}
	r := &run{t: t, out: e, scratch: scratch{track: true}}
	if err := t.encode(r, text); err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	e.IDs = r.dst
	n := len(e.IDs)
	e.Types, e.Special, e.Attention = make([]int32, n), make([]bool, n), make([]bool, n)
	for i := range n {
		e.Types[i], e.Attention[i] = number, true
	}
	if !o.Bytes {
		e.countCharacters(text)
	}
	return e, nil
}

// append adds what is known of a token besides its id.
func (e *Encoding) append(token string, from Span, word int32) {
	e.Tokens = append(e.Tokens, token)
	e.Offsets = append(e.Offsets, from)
	e.Words = append(e.Words, word)
}

// countCharacters turns offsets in bytes into offsets in characters. As in the Rust library, an offset within a character
// counts as its beginning, and a token beyond the text keeps its offsets.
func (e *Encoding) countCharacters(text string) {
	number := make([]int32, len(text))
	n := int32(-1)
	for i := range len(text) {
		if text[i]&0xC0 != 0x80 {
			n++
		}
		number[i] = n
	}
	for i, s := range e.Offsets {
		if s.Start >= len(text) {
			continue
		}
		end := int(number[s.Start]) + 2
		switch {
		case s.End < len(text):
			end = int(number[s.End])
		case s.End-1 < len(text) && s.End > 0:
			end = int(number[s.End-1]) + 1
		}
		e.Offsets[i] = Span{int(number[s.Start]), end}
	}
}

// join appends another encoding, and combines the overflows of both.
func (e *Encoding) join(o *Encoding) {
	if len(e.Overflow)+len(o.Overflow) > 0 {
		e.Overflow = e.combined(o)
	}
	e.IDs = append(e.IDs, o.IDs...)
	e.Tokens = append(e.Tokens, o.Tokens...)
	e.Types = append(e.Types, o.Types...)
	e.Offsets = append(e.Offsets, o.Offsets...)
	e.Words = append(e.Words, o.Words...)
	e.Special = append(e.Special, o.Special...)
	e.Attention = append(e.Attention, o.Attention...)
}

// combined is each of the own overflow with o and with its overflow, then e itself with the latter.
func (e *Encoding) combined(o *Encoding) (all []*Encoding) {
	with := func(a, b *Encoding) {
		a = a.clone()
		a.join(b)
		all = append(all, a)
	}
	for _, x := range e.Overflow {
		with(x, o)
		for _, y := range o.Overflow {
			with(x, y)
		}
	}
	for _, y := range o.Overflow {
		with(e, y)
	}
	return all
}

// clone is a copy, which may be appended to; the overflow is shared.
func (e *Encoding) clone() *Encoding {
	c := *e
	c.IDs, c.Tokens, c.Types, c.Offsets = slices.Clone(e.IDs), slices.Clone(e.Tokens), slices.Clone(e.Types), slices.Clone(e.Offsets)
	c.Words, c.Special, c.Attention = slices.Clone(e.Words), slices.Clone(e.Special), slices.Clone(e.Attention)
	return &c
}

// slice is the tokens from i up to j.
func (e *Encoding) slice(i, j int) {
	e.IDs, e.Tokens, e.Types = e.IDs[i:j:j], e.Tokens[i:j:j], e.Types[i:j:j]
	e.Offsets, e.Words = e.Offsets[i:j:j], e.Words[i:j:j]
	e.Special, e.Attention = e.Special[i:j:j], e.Attention[i:j:j]
}

// repeated is one token n times, which comes from no text.
func repeated(id int32, token string, kind int32, n int, attention bool) *Encoding {
	e := &Encoding{}
	for range n {
		e.IDs = append(e.IDs, id)
		e.append(token, Span{}, -1)
		e.Types = append(e.Types, kind)
		e.Special = append(e.Special, true)
		e.Attention = append(e.Attention, attention)
	}
	return e
}
