package tokenizer

import (
	"encoding/base64"
	"encoding/binary"
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
	if len(data) < 8 {
		return nil, v.errorf("has %d bytes, want 8 at least", len(data))
	}
	size := binary.LittleEndian.Uint32(data)
	if data = data[4:]; size < 4 || uint64(size) > uint64(len(data)) {
		return nil, v.errorf("has a trie of %d bytes, want 4 to %d", size, len(data))
	}
	m := &charsMap{units: make([]uint32, size/4)}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	if m.texts = string(data[size/4*4:]); !utf8.ValidString(m.texts) {
		return nil, v.errorf("has replacements that are not UTF-8")
	}
	return func(s string) (string, error) { return m.normalize(s), nil }, nil
}

// normalize looks up grapheme clusters, and those that are long or unknown character by character. As in the Rust
// library, a cluster that begins with a known text becomes that text's replacement as a whole.
func (m *charsMap) normalize(s string) string {
	var b strings.Builder
	done := 0 // what is written
	put := func(start, end int, text string) {
		b.WriteString(s[done:start])
		b.WriteString(text)
		done = end
	}
	clusters := graphemes.FromString(s)
	for clusters.Next() {
		start, end := clusters.Start(), clusters.End()
		if end-start <= shortCluster {
			if text, ok := m.find(s[start:end]); ok {
				put(start, end, text)
				continue
			}
		}
		for i, r := range s[start:end] {
			from, to := start+i, start+i+utf8.RuneLen(r)
			if text, ok := m.find(s[from:to]); ok {
				put(from, to, text)
			}
		}
	}
	if done == 0 && b.Len() == 0 {
		return s
	}
	put(len(s), len(s), "")
	return b.String()
}

// find is the replacement of the shortest known text that s begins with.
func (m *charsMap) find(s string) (string, bool) {
	at := offset(m.units[0])
	for i := range len(s) {
		at ^= uint32(s[i])
		if s[i] == 0 || at >= uint32(len(m.units)) {
			return "", false
		}
		unit := m.units[at]
		if unit&(1<<31|0xFF) != uint32(s[i]) {
			return "", false
		}
		at ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if at >= uint32(len(m.units)) {
			return "", false
		}
		value := m.units[at] &^ (1 << 31)
		if value >= uint32(len(m.texts)) {
			return "", true
		}
		text, _, _ := strings.Cut(m.texts[value:], "\x00")
		return text, true
	}
	return "", false
}

// offset is what leads from a unit to its children, by exclusive or with their labels.
func offset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
