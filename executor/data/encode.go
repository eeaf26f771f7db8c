package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// Encoder turns text into ids. Any number of goroutines use it at once. A *tokenizer.Tokenizer is one, and so are
// *Characters.
type Encoder interface {
	// Encode appends the ids of text to dst; with special, also those that stand around a whole text.
	Encode(dst []int32, text string, special bool) ([]int32, error)
	// Size is more than the largest id.
	Size() int
}

// untrained marks, in a token file, an id that the loss does not count.
const untrained = 1 << 31

// coder makes marked ids of documents.
type coder struct {
	enc           Encoder
	before, after []int32 // stand around every document
	end           []int32
	everything    bool // prompts are trained too
}

// newCoder finds out what the encoder puts around a text.
func newCoder(enc Encoder, a *Attr, o *Options) (*coder, error) {
	c := &coder{enc: enc, end: o.End, everything: a.TrainOnPrompt}
	if a.Special {
		text, plain := probe(enc)
		if len(plain) == 0 {
			return c.alone(o), nil // a vocabulary without any of them puts nothing around
		}
		whole, err := enc.Encode(nil, text, true)
		if err != nil {
			return nil, err
		}
		at := slices.Index(whole, plain[0])
		if at < 0 || at+len(plain) > len(whole) || !slices.Equal(whole[at:at+len(plain)], plain) {
			return nil, fmt.Errorf("tokenizer: ids %v with special tokens do not contain the ids %v without", whole, plain)
		}
		c.before, c.after = whole[:at], whole[at+len(plain):]
	}
	return c.alone(o), nil
}

// probe is a text that the encoder has tokens for, with their ids.
func probe(enc Encoder) (text string, ids []int32) {
	for _, text := range []string{"a", "1", "the", "A", ".", " "} {
		if ids, err := enc.Encode(nil, text, false); err == nil && len(ids) > 0 {
			return text, ids
		}
	}
	return "", nil
}

// alone settles what depends on no probe: ids given by the caller, and an end token that the tokenizer puts already.
func (c *coder) alone(o *Options) *coder {
	if len(o.Begin) > 0 {
		c.before = o.Begin
	}
	if len(c.end) > 0 && slices.Equal(c.after, c.end) {
		c.after = nil
	}
	return c
}

// document appends the marked ids of a document. Its parts between end tokens are encoded each as a whole, so that the
// ids are those of running text; a token over the border of two segments is trained if either is.
func (c *coder) document(dst []uint32, doc []Segment, first, last bool) ([]uint32, error) {
	if first {
		dst = c.mark(dst, c.before, c.everything || len(doc) == 1 && doc[0].Train)
	}
	ended, trained := false, c.everything || doc[len(doc)-1].Train
	for len(doc) > 0 {
		n := 1 + slices.IndexFunc(doc, func(s Segment) bool { return s.End && len(c.end) > 0 })
		if n == 0 {
			n = len(doc)
		}
		var err error
		if dst, err = c.part(dst, doc[:n]); err != nil {
			return nil, err
		}
		if ended = doc[n-1].End && len(c.end) > 0; ended {
			dst = c.mark(dst, c.end, c.everything || doc[n-1].Train)
		}
		doc = doc[n:]
	}
	if last {
		if dst = c.mark(dst, c.after, trained); !ended && len(c.end) > 0 {
			dst = c.mark(dst, c.end, trained)
		}
	}
	return dst, nil
}

func (c *coder) mark(dst []uint32, ids []int32, trained bool) []uint32 {
	for _, id := range ids {
		if dst = append(dst, uint32(id)); !trained {
			dst[len(dst)-1] |= untrained
		}
	}
	return dst
}

// part appends the ids of adjoining segments.
func (c *coder) part(dst []uint32, doc []Segment) ([]uint32, error) {
	var text string
	for _, s := range doc {
		text += s.Text
	}
	whole, err := c.enc.Encode(nil, text, false)
	if err != nil {
		return nil, err
	}
	for _, id := range whole {
		if id < 0 || int(id) >= c.enc.Size() {
			return nil, fmt.Errorf("id %d is not below the encoder's size %d", id, c.enc.Size())
		}
	}
	ends, err := c.borders(whole, doc, text)
	if err != nil {
		return nil, err
	}
	from := 0
	for i, s := range doc {
		dst = c.mark(dst, whole[from:ends[i]], c.everything || s.Train)
		from = ends[i]
	}
	return dst, nil
}

// borders returns for each segment how many of the whole's ids come before its end.
func (c *coder) borders(whole []int32, doc []Segment, text string) ([]int, error) {
	ends := make([]int, len(doc))
	ends[len(doc)-1] = len(whole)
	if len(doc) == 1 {
		return ends, nil
	}
	// Usually the segments encode alone as they do in the whole.
	var pieces []int32
	var err error
	for i, s := range doc {
		if pieces, err = c.enc.Encode(pieces, s.Text, false); err != nil {
			return nil, err
		}
		ends[i] = len(pieces)
	}
	if slices.Equal(pieces, whole) {
		return ends, nil
	}
	// Else a border is where the text up to it ceases to encode as the whole does.
	size := 0
	for i, s := range doc[:len(doc)-1] {
		size += len(s.Text)
		if pieces, err = c.enc.Encode(pieces[:0], text[:size], false); err != nil {
			return nil, err
		}
		n := 0
		for n < min(len(pieces), len(whole)) && pieces[n] == whole[n] {
			n++
		}
		if s.Train && n < len(pieces) && !doc[i+1].Train {
			n = min(n+1, len(whole)) // the token over the border counts as trained
		}
		ends[i] = n
		if i > 0 {
			ends[i] = max(n, ends[i-1])
		}
	}
	ends[len(doc)-1] = len(whole)
	return ends, nil
}

// fingerprint is a text that tells apart what the coder adds.
func (c *coder) fingerprint() string {
	var b bytes.Buffer
	for _, ids := range [][]int32{c.before, c.after, c.end} {
		_ = binary.Write(&b, binary.LittleEndian, int64(len(ids))) // a buffer takes all
		_ = binary.Write(&b, binary.LittleEndian, ids)
	}
	return b.String()
}
