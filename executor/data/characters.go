package data

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Characters is a vocabulary of single characters: the id of a character is its place among those of a text, sorted by
// code point.
//
// Source: the character-level data set of github.com/karpathy/nanoGPT.
type Characters struct {
	runes []rune // sorted
	ids   map[rune]int32
}

// CharactersOf makes the vocabulary of all that the documents of sources hold.
func CharactersOf(sources []Attr, o Options) (*Characters, error) {
	seen := map[rune]bool{}
	for _, a := range sources {
		err := Texts(a, o, func(text string) error {
			for _, r := range text {
				seen[r] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return characters(seen), nil
}

func characters(seen map[rune]bool) *Characters {
	c := &Characters{ids: make(map[rune]int32, len(seen))}
	for r := range seen {
		c.runes = append(c.runes, r)
	}
	slices.Sort(c.runes)
	for i, r := range c.runes {
		c.ids[r] = int32(i)
	}
	return c
}

// Size is the number of characters.
func (c *Characters) Size() int { return len(c.runes) }

// ID is the id of a character.
func (c *Characters) ID(r rune) (int32, bool) {
	id, ok := c.ids[r]
	return id, ok
}

// Identity tells vocabularies apart.
func (c *Characters) Identity() string {
	sum := sha256.Sum256([]byte("characters " + string(c.runes)))
	return hex.EncodeToString(sum[:])
}

// Encode appends the ids of text to dst. A character that the vocabulary lacks is an error. Nothing is put around a
// text, whatever special is.
func (c *Characters) Encode(dst []int32, text string, special bool) ([]int32, error) {
	before := len(dst)
	dst = slices.Grow(dst, len(text))
	var ascii [utf8.RuneSelf]int32 // 1 + id, or 0 for what was not looked up yet
	for i, r := range text {
		if r < utf8.RuneSelf && ascii[r] > 0 {
			dst = append(dst, ascii[r]-1)
			continue
		}
		id, ok := c.ids[r]
		if !ok {
			return dst[:before], fmt.Errorf("the character %q at byte %d is not among the %d of the vocabulary", r, i, len(c.runes))
		}
		if dst = append(dst, id); r < utf8.RuneSelf {
			ascii[r] = id + 1
		}
	}
	return dst, nil
}

// Decode is the text of ids; there are no special ones to skip.
func (c *Characters) Decode(ids []int32, skipSpecial bool) (string, error) {
	var b strings.Builder
	for i, id := range ids {
		if id < 0 || int(id) >= len(c.runes) {
			return b.String(), fmt.Errorf("id %d at %d is not among the %d characters", id, i, len(c.runes))
		}
		b.WriteRune(c.runes[id])
	}
	return b.String(), nil
}
