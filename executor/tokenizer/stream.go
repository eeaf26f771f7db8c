package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Stream decodes a text token by token.
type Stream struct {
	t     *Tokenizer
	skip  bool
	head  sink
	level []string // bytes of tokens, where head takes those; else nil
	out   collector
	token []byte
}

// Stream starts the decoding of one text; with skipSpecial, special tokens are left out.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	s := &Stream{t: t, skip: skipSpecial}
	s.head = openAll(t.decoders, &s.out)
	if !t.joined {
		s.head = &spaced{next: &s.out}
	}
	s.level = t.levelText()
	return s
}

// Push takes the next id and returns the text that is now certain, in whole characters; it may be "". An id that is
// not in the vocabulary is an error, and the stream goes on as if it had not come.
func (s *Stream) Push(id int32) (string, error) {
	s.out.room()
	if err := s.push(id); err != nil {
		return "", err
	}
	return s.out.take(), nil
}

func (s *Stream) push(id int32) error {
	if uint32(id) < uint32(len(s.level)) && s.t.voc.has[id] && !(s.skip && s.t.IsSpecial(id)) {
		return s.head.(*levelBytes).pushBytes(s.level[id])
	}
	token, ok := s.t.Token(id)
	if !ok {
		return fmt.Errorf("%s: id %d is not in the vocabulary of %d", s.t.name, id, s.t.Size())
	}
	if a := s.t.added[id]; a != nil {
		if token = a.shown; s.skip && s.t.special[token] {
			return nil
		}
	}
	s.token = append(s.token[:0], token...)
	return s.head.push(s.token)
}

// Flush ends the text and returns what is left of it. The stream then must not be used further.
func (s *Stream) Flush() string {
	s.out.room()
	if err := s.head.flush(); err != nil {
		return ""
	}
	return s.out.take()
}

// Decode is the text of ids; with skipSpecial, special tokens are left out. An id that is not in the vocabulary is an
// error.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) (string, error) {
	s := t.Stream(skipSpecial)
	if text, ok := s.joined(ids); ok {
		return text, nil
	}
	s.out.text.Grow(4 * len(ids))
	for i, id := range ids {
		if err := s.push(id); err != nil {
			return "", fmt.Errorf("%w (at %d of %d)", err, i, len(ids))
		}
	}
	if err := s.head.flush(); err != nil {
		return "", err
	}
	return s.out.text.String(), nil
}

// collector gathers text in blocks and hands it out as parts of them, so that few parts cost an allocation.
type collector struct {
	text  strings.Builder
	taken int
}

const block = 4096

// room sees to it that a usual part fits into the block.
func (c *collector) room() {
	if c.text.Cap()-c.text.Len() < block/16 {
		c.text.Reset()
		c.text.Grow(block)
		c.taken = 0
	}
}

func (c *collector) push(token []byte) error {
	c.text.Write(token)
	return nil
}

func (c *collector) flush() error { return nil }

// take returns the text since the last call.
func (c *collector) take() string {
	s := c.text.String()[c.taken:]
	c.taken = c.text.Len()
	return s
}

// joined is the text of ids whose bytes are known and, together, UTF-8.
func (s *Stream) joined(ids []int32) (string, bool) {
	size := 0
	for _, id := range ids {
		if uint32(id) >= uint32(len(s.level)) || !s.t.voc.has[id] || s.skip && s.t.IsSpecial(id) {
			return "", false
		}
		size += len(s.level[id])
	}
	var text strings.Builder
	text.Grow(size)
	for _, id := range ids {
		text.WriteString(s.level[id])
	}
	return text.String(), utf8.ValidString(text.String())
}
