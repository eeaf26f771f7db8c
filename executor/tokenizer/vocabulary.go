package tokenizer

import (
	"fmt"
	"strings"
)

// vocabulary is the two-way table of tokens and ids.
type vocabulary struct {
	ids    map[string]int32
	tokens []string // by id; meaningful where present
	has    []bool
}

// maxID bounds ids whatever a file says: tables are as long as the largest.
const maxID = 1<<24 - 1

// readVocabulary reads an object of token: id. Ids are distinct, not negative, and not far beyond the number of tokens.
func readVocabulary(v value) (*vocabulary, error) {
	var entries []entry
	bytes, largest := 0, int32(-1)
	err := v.fields(func(token string, id value) error {
		n, err := id.integer()
		if err != nil {
			return err
		}
		if n > maxID {
			return id.errorf("id %d is beyond the largest allowed, %d", n, maxID)
		}
		entries = append(entries, entry{token, n})
		bytes += len(token)
		largest = max(largest, n)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if int64(largest) > sparse(len(entries)) {
		return nil, v.errorf("id %d is absurd for a vocabulary of %d tokens", largest, len(entries))
	}
	return newVocabulary(v, entries, bytes, largest)
}

// entry is a token and its id.
type entry struct {
	token string
	id    int32
}

// newVocabulary enters tokens of so many bytes in all, with ids up to the largest; v is what errors point to.
func newVocabulary(v value, entries []entry, bytes int, largest int32) (*vocabulary, error) {
	voc := &vocabulary{ids: make(map[string]int32, len(entries)), tokens: make([]string, largest+1), has: make([]bool, largest+1)}
	var text strings.Builder // one copy of all tokens, so that the file's text can be freed
	text.Grow(bytes)
	for _, e := range entries {
		text.WriteString(e.token)
		token := text.String()[text.Len()-len(e.token):]
		if err := voc.add(token, e.id); err != nil {
			return nil, v.errorf("%v", err)
		}
	}
	return voc, nil
}

// sparse is the largest id that n tokens may have: files have gaps, but not of megabytes.
func sparse(n int) int64 { return 1<<16 + 8*int64(n) }

// add enters a new token.
func (v *vocabulary) add(token string, id int32) error {
	if old, twice := v.ids[token]; twice {
		return fmt.Errorf("token %.60q has two entries, ids %d and %d", token, old, id)
	}
	if int(id) >= len(v.tokens) {
		v.tokens = append(v.tokens, make([]string, int(id)+1-len(v.tokens))...)
		v.has = append(v.has, make([]bool, int(id)+1-len(v.has))...)
	}
	if v.has[id] {
		return fmt.Errorf("tokens %.60q and %.60q share id %d", v.tokens[id], token, id)
	}
	v.ids[token] = id
	v.tokens[id], v.has[id] = token, true
	return nil
}

// id is a token's id, or -1.
func (v *vocabulary) id(token string) int32 {
	if id, ok := v.ids[token]; ok {
		return id
	}
	return -1
}

// idOf is id for bytes, without making a string of them.
func (v *vocabulary) idOf(token []byte) int32 {
	if id, ok := v.ids[string(token)]; ok {
		return id
	}
	return -1
}
