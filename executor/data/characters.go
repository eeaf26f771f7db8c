package data

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"pipe.dev/executor/checkpoint"
)

// Characters is a vocabulary of single characters: the id of a character is its place among those of a text, sorted by
// code point. Its file is a JSON array of the characters in order.
//
// Source: the character-level data set of github.com/karpathy/nanoGPT.
type Characters struct {
	runes []rune // sorted
	ids   map[rune]int32
}

// maxCharacters bounds a vocabulary: there are no more code points.
const maxCharacters = utf8.MaxRune + 1

// NewCharacters makes the vocabulary of the characters in a text.
func NewCharacters(text string) *Characters {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return characters(seen)
}

// CharactersOf makes the vocabulary of all that a source's documents hold.
func CharactersOf(a Attr, o Options) (*Characters, error) {
	seen := map[rune]bool{}
	err := Texts(a, o, func(text string) error {
		for _, r := range text {
			seen[r] = true
		}
		return nil
	})
	return characters(seen), err
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

// OpenCharacters reads a file that Save wrote.
func OpenCharacters(path string) (*Characters, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	var list []string
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, errorf(path, "is no JSON array of characters: %v", err)
	}
	if len(list) > maxCharacters {
		return nil, errorf(path, "has %d characters, more than there are", len(list))
	}
	seen := map[rune]bool{}
	last := rune(-1)
	for i, s := range list {
		r, n := utf8.DecodeRuneInString(s)
		if n == 0 || n != len(s) || r == utf8.RuneError && n == 1 {
			return nil, errorf(path, "element %d is %.20q, want one character", i, s)
		}
		if r <= last {
			return nil, errorf(path, "element %d is %q, which is not after %q: want them sorted", i, r, last)
		}
		last, seen[r] = r, true
	}
	return characters(seen), nil
}

// Save writes the vocabulary to a file, whole or not at all.
func (c *Characters) Save(path string) error {
	list := make([]string, len(c.runes))
	for i, r := range c.runes {
		list[i] = string(r)
	}
	return checkpoint.Replace(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(list) })
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
