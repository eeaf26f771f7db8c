package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"pipe.dev/executor/tokenizer"
)

// traced is a text's tokens in JSON.
type traced struct {
	IDs       []int32  `json:"ids"`
	Tokens    []string `json:"tokens"`
	Offsets   [][2]int `json:"offsets"`
	Types     []int32  `json:"types"`
	Words     []*int32 `json:"words"` // null of tokens that come from no text
	Special   []int    `json:"special"`
	Attention []int    `json:"attention"`
	Overflow  []traced `json:"overflow,omitempty"`
}

// tracer translates text to lines of tokens, or to JSON objects.
func tracer(t *tokenizer.Tokenizer, o tokenizer.EncodeOptions, asJSON bool) translate {
	return func(dst, text []byte) ([]byte, error) {
		s := string(text)
		o := o
		if asJSON {
			var err error
			if s, o.Pair, err = textOrPair(text); err != nil {
				return dst, err
			}
		}
		e, err := t.EncodeFull(s, o)
		if err != nil {
			return dst, err
		}
		if !asJSON {
			return traceLines(dst, e), nil
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(tracedOf(e)); err != nil {
			return dst, err
		}
		return append(dst, bytes.TrimSuffix(b.Bytes(), []byte{'\n'})...), nil
	}
}

// traceLines writes a line for each token; of what was cut off, an empty line stands before each piece.
func traceLines(dst []byte, e *tokenizer.Encoding) []byte {
	for i, id := range e.IDs {
		dst = fmt.Appendf(dst, "%d\t%q\t%d-%d\n", id, e.Tokens[i], e.Offsets[i].Start, e.Offsets[i].End)
	}
	for _, o := range e.Overflow {
		dst = traceLines(append(dst, '\n'), o)
	}
	return dst
}

// textOrPair reads a JSON string, or an array of two.
func textOrPair(text []byte) (first string, second *string, err error) {
	if len(text) == 0 || text[0] != '[' {
		first, err = jsonString(text)
		return first, nil, err
	}
	var both []json.RawMessage
	if err := json.Unmarshal(text, &both); err != nil || len(both) != 2 {
		return "", nil, fmt.Errorf("%s is not a string, nor an array of two", excerpt(text))
	}
	if first, err = jsonString(both[0]); err != nil {
		return "", nil, err
	}
	s, err := jsonString(both[1])
	return first, &s, err
}

func tracedOf(e *tokenizer.Encoding) traced {
	n := len(e.IDs)
	x := traced{
		IDs: e.IDs, Tokens: e.Tokens, Types: e.Types, Offsets: make([][2]int, n), Words: make([]*int32, n),
		Special: make([]int, n), Attention: make([]int, n),
	}
	if n == 0 {
		x.IDs, x.Tokens, x.Types = []int32{}, []string{}, []int32{}
	}
	for i := range n {
		x.Offsets[i] = [2]int{e.Offsets[i].Start, e.Offsets[i].End}
		if e.Words[i] >= 0 {
			x.Words[i] = &e.Words[i]
		}
		if e.Special[i] {
			x.Special[i] = 1
		}
		if e.Attention[i] {
			x.Attention[i] = 1
		}
	}
	for _, o := range e.Overflow {
		x.Overflow = append(x.Overflow, tracedOf(o))
	}
	return x
}
