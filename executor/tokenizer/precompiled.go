package tokenizer

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// charsMap replaces characters by the rules that a SentencePiece model has in its precompiled_charsmap: the size of a
// double-array trie in bytes, its units, and the replacements, each ended by a zero byte. Numbers are little-endian
// uint32. Source: the normalizer of google/sentencepiece, and darts-clone for the trie.
type charsMap struct {
	units []uint32
	texts string
	plain [utf8.RuneSelf]bool // no known text begins with this character
}

// shortCluster is the length in bytes of a grapheme cluster up to which it is looked up as a whole.
const shortCluster = 5

func readPrecompiled(_ *config, o object) (normalizer, error) {
	v, err := o.need("precompiled_charsmap")
	if err != nil {
		return nil, err
	}
	s, err := v.str()
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, v.errorf("is not base64: %v", err)
	}
	m, err := newCharsMap(data)
	if err != nil {
		return nil, v.errorf("%v", err)
	}
	return func(p piece) (piece, error) { return m.normalize(p), nil }, nil
}

func newCharsMap(data []byte) (*charsMap, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("has %d bytes, want 8 at least", len(data))
	}
	size := binary.LittleEndian.Uint32(data)
	if data = data[4:]; size < 4 || uint64(size) > uint64(len(data)) {
		return nil, fmt.Errorf("has a trie of %d bytes, want 4 to %d", size, len(data))
	}
	m := &charsMap{units: make([]uint32, size/4)}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	if m.texts = string(data[size/4*4:]); !utf8.ValidString(m.texts) {
		return nil, errors.New("has replacements that are not UTF-8")
	}
	for c := range m.plain {
		at := offset(m.units[0]) ^ uint32(c)
		m.plain[c] = c == 0 || at >= uint32(len(m.units)) || m.units[at]&(1<<31|0xFF) != uint32(c)
	}
	return m, nil
}

// normalize looks up grapheme clusters, and those that are long or unknown character by character. As in the Rust
// library, a cluster that begins with a known text becomes that text's replacement as a whole.
func (m *charsMap) normalize(p piece) piece {
	var all []changed
	modified := false
	swap := func(old string) bool {
		text, ok := m.find(old)
		if ok {
			modified = true
			all = appendSwap(all, old, text)
		}
		return ok
	}
	clusters := graphemes.FromString(p.text)
	for clusters.Next() {
		cluster := clusters.Value()
		if len(cluster) <= shortCluster && swap(cluster) {
			continue
		}
		for i, r := range cluster {
			if !swap(cluster[i : i+utf8.RuneLen(r)]) {
				all = append(all, changed{r, 0})
			}
		}
	}
	if !modified {
		return p
	}
	e := p.edit()
	for _, c := range all {
		e.change(c.r, c.n)
	}
	return e.done()
}

// changed is a character of the new text: in the place of one of the old text and -n that follow it, or new where n is 1.
type changed struct {
	r rune
	n int
}

// appendSwap puts a text in the place of an old one: character by character, the last of either with what is left of
// the other.
func appendSwap(all []changed, old, text string) []changed {
	n := utf8.RuneCountInString(old)
	for _, r := range text {
		c := changed{r, 0}
		if n--; n < 0 {
			c.n = 1
		}
		all = append(all, c)
	}
	if n > 0 && len(all) > 0 {
		all[len(all)-1].n -= n
	}
	return all
}

// find is the replacement of the shortest known text that s begins with.
func (m *charsMap) find(s string) (text string, ok bool) {
	m.walk(s, func(_ int, replacement string) bool {
		text, ok = replacement, true
		return false
	})
	return text, ok
}

// longest is the replacement of the longest known text that s begins with, and its length; 0 where there is none.
func (m *charsMap) longest(s string) (text string, size int) {
	m.walk(s, func(n int, replacement string) bool {
		text, size = replacement, n
		return true
	})
	return text, size
}

// walk calls f with the known texts that s begins with, their lengths and replacements, until f returns false.
func (m *charsMap) walk(s string, f func(size int, replacement string) bool) {
	at := offset(m.units[0])
	for i := range len(s) {
		at ^= uint32(s[i])
		if s[i] == 0 || at >= uint32(len(m.units)) {
			return
		}
		unit := m.units[at]
		if unit&(1<<31|0xFF) != uint32(s[i]) {
			return
		}
		at ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if at >= uint32(len(m.units)) {
			return
		}
		text := ""
		if value := m.units[at] &^ (1 << 31); value < uint32(len(m.texts)) {
			text, _, _ = strings.Cut(m.texts[value:], "\x00")
		}
		if !f(i+1, text) {
			return
		}
	}
}

// offset is what leads from a unit to its children, by exclusive or with their labels.
func offset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
