package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text before all else. Its letters never go through the model.
type addedToken struct {
	content    string
	id         int32
	singleWord bool   // only where no word character stands beside it
	lstrip     bool   // takes white space before it
	rstrip     bool   // takes white space after it
	normalized bool   // is sought in the normalized text, itself normalized
	special    bool   // left out by Decode when so asked
	normal     string // what is sought: content, normalized if so asked
}

func readAdded(v value) ([]addedToken, error) {
	var all []addedToken
	err := v.items(func(item value) error {
		o, err := item.object()
		if err != nil {
			return err
		}
		var t addedToken
		id, err := o.need("id")
		if err != nil {
			return err
		}
		if t.id, err = id.integer(); err != nil {
			return err
		}
		if t.id > maxID {
			return id.errorf("id %d is beyond the largest allowed, %d", t.id, maxID)
		}
		if t.content, err = o.str("content"); err != nil || t.content == "" {
			return err
		}
		if t.special, err = o.boolean("special", false); err != nil {
			return err
		}
		for _, f := range []struct {
			name      string
			to        *bool
			otherwise bool
		}{{"single_word", &t.singleWord, false}, {"lstrip", &t.lstrip, false}, {"rstrip", &t.rstrip, false}, {"normalized", &t.normalized, !t.special}} {
			if *f.to, err = o.boolean(f.name, f.otherwise); err != nil {
				return err
			}
		}
		all = append(all, t)
		return nil
	})
	return all, err
}

// finder finds the added tokens of a text: at each place the longest, going on after it. It is a trie; the cost is
// the length of the text times the length of the longest token at worst, and next to nothing where no token begins.
type finder struct {
	nodes  []finderNode
	starts [256]bool
	only   int // the one byte that all tokens start with, or -1
}

type finderNode struct {
	next  map[byte]int32
	token *addedToken // that ends here
}

func (f *finder) add(content string, t *addedToken) {
	if f.nodes == nil {
		f.nodes = []finderNode{{}}
		f.only = int(content[0])
	}
	if f.only != int(content[0]) {
		f.only = -1
	}
	f.starts[content[0]] = true
	at := int32(0)
	for i := range len(content) {
		n, ok := f.nodes[at].next[content[i]]
		if !ok {
			n = int32(len(f.nodes))
			f.nodes = append(f.nodes, finderNode{})
			if f.nodes[at].next == nil {
				f.nodes[at].next = map[byte]int32{}
			}
			f.nodes[at].next[content[i]] = n
		}
		at = n
	}
	f.nodes[at].token = t
}

// find returns the first token from offset i on and where it lies; the token is nil when there is none.
func (f *finder) find(s string, i int) (start, end int, token *addedToken) {
	for ; i < len(s); i++ {
		if f.only >= 0 {
			n := strings.IndexByte(s[i:], byte(f.only))
			if n < 0 {
				break
			}
			i += n
		} else if !f.starts[s[i]] {
			continue
		}
		at := int32(0)
		for j := i; j < len(s); j++ {
			n, ok := f.nodes[at].next[s[j]]
			if !ok {
				break
			}
			if at = n; f.nodes[at].token != nil {
				end, token = j+1, f.nodes[at].token
			}
		}
		if token != nil {
			return i, end, token
		}
	}
	return len(s), len(s), nil
}

// cut calls text with each part of s that is no added token, and id with the others, in order.
func (f *finder) cut(s string, text func(part string, start int) error, id func(int32)) error {
	done, blanks := 0, 0 // blanks: the end of the white space that a token last took after it
	if f.nodes != nil {
		for start, end, t := f.find(s, 0); t != nil; start, end, t = f.find(s, end) {
			from, to := start, end
			if t.singleWord && (wordBefore(s[:start]) || wordAfter(s[end:])) {
				continue
			}
			if t.lstrip && from > done {
				from = done + len(strings.TrimRightFunc(s[done:from], unicode.IsSpace))
			}
			if t.rstrip {
				if to >= blanks {
					blanks = len(s) - len(strings.TrimLeftFunc(s[to:], unicode.IsSpace))
				}
				to = blanks
			}
			if done < from {
				if err := text(s[done:from], done); err != nil {
					return err
				}
			}
			id(t.id)
			done = to
		}
	}
	if done < len(s) {
		return text(s[done:], done)
	}
	return nil
}

func wordBefore(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

func wordAfter(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}
