package tokenizer

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// span is a part text[start:end] that a pattern matches, or that lies between its matches.
type span struct {
	start, end int
	match      bool
}

// pattern finds what to split at or to replace.
type pattern interface {
	// spans appends spans that cover text in order.
	spans(dst []span, text string) ([]span, error)
}

// readPattern reads {"String": s} or {"Regex": s}; source is the regular expression, "" for a string.
func readPattern(v value) (p pattern, source string, err error) {
	o, err := v.object()
	if err != nil {
		return nil, "", err
	}
	if s := o.byName["String"]; !s.absent() {
		text, err := s.str()
		if err == nil && text == "" {
			err = s.errorf("is empty")
		}
		return literal(text), "", err
	}
	s, ok := o.byName["Regex"]
	if !ok || s.absent() {
		return nil, "", v.errorf("has neither String nor Regex")
	}
	if source, err = s.str(); err != nil {
		return nil, "", err
	}
	if p, err = patternOf(source); err != nil {
		return nil, "", s.errorf("%v", err)
	}
	return p, source, nil
}

// patternOf is a regular expression, or what equals it.
func patternOf(source string) (pattern, error) {
	switch source {
	case `\p{N}`:
		return upTo{number, 1}, nil
	case `\p{N}{1,3}`:
		return upTo{number, 3}, nil
	case `\s+`:
		return upTo{blank, 1 << 62}, nil
	}
	return newRegex(source)
}

// literal matches itself.
type literal string

func (p literal) spans(dst []span, text string) ([]span, error) {
	for at := 0; at < len(text); {
		n := strings.Index(text[at:], string(p))
		if n < 0 {
			return append(dst, span{at, len(text), false}), nil
		}
		if n > 0 {
			dst = append(dst, span{at, at + n, false})
		}
		at += n + len(p)
		dst = append(dst, span{at - len(p), at, true})
	}
	return dst, nil
}

// predicate matches single characters.
type predicate func(rune) bool

func (p predicate) spans(dst []span, text string) ([]span, error) {
	at := 0
	for i, r := range text {
		if !p(r) {
			continue
		}
		if at < i {
			dst = append(dst, span{at, i, false})
		}
		at = i + utf8.RuneLen(r)
		dst = append(dst, span{i, at, true})
	}
	if at < len(text) {
		dst = append(dst, span{at, len(text), false})
	}
	return dst, nil
}

// regex matches a regular expression with look-ahead. Its case folding is .NET's, which differs from Oniguruma's in a
// few characters.
type regex struct {
	re     *regexp2.Regexp
	source string
}

// matchTimeout ends the search for one match of a pattern that takes exponential time.
const matchTimeout = 20 * time.Second

func newRegex(source string) (regex, error) {
	if len(source) > 1<<14 {
		return regex{}, fmt.Errorf("pattern of %d bytes, at most %d are allowed", len(source), 1<<14)
	}
	re, err := regexp2.Compile(translate(source), regexp2.None)
	if err != nil {
		return regex{}, fmt.Errorf("bad pattern: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	re.MatchTimeout = matchTimeout
	return regex{re, source}, nil
}

func (p regex) spans(dst []span, text string) ([]span, error) {
	m, err := p.re.FindStringMatch(text)
	at, runes, last := 0, 0, -1 // at: bytes, runes: the same place in characters; last: end of the last match
	end := 0                    // of the last span
	for ; m != nil && err == nil; m, err = p.re.FindNextMatch(m) {
		if m.Length == 0 && m.Index == last {
			continue
		}
		start := forward(text, at, m.Index-runes)
		at = forward(text, start, m.Length)
		runes, last = m.Index+m.Length, m.Index+m.Length
		if end < start {
			dst = append(dst, span{end, start, false})
		}
		dst = append(dst, span{start, at, true})
		end = at
	}
	if err != nil {
		return dst, fmt.Errorf("pattern %.60q: %s", p.source, strings.SplitN(err.Error(), "\n", 2)[0])
	}
	if end < len(text) {
		dst = append(dst, span{end, len(text), false})
	}
	return dst, nil
}

// forward is the offset n characters after i.
func forward(text string, i, n int) int {
	for ; n > 0; n-- {
		if text[i] < utf8.RuneSelf {
			i++
			continue
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		i += size
	}
	return i
}
