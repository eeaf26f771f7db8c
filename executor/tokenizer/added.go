package tokenizer

import (
	"slices"
	"sort"
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
	shown      string // what the decoder gets
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
		}{
			{"single_word", &t.singleWord, false},
			{"lstrip", &t.lstrip, false},
			{"rstrip", &t.rstrip, false},
			{"normalized", &t.normalized, !t.special},
		} {
			if *f.to, err = o.boolean(f.name, f.otherwise); err != nil {
				return err
			}
		}
		all = append(all, t)
		return nil
	})
	return all, err
}

// finder finds the added tokens of a text: at each place the longest, going on after it. The cost is the length of the
// text times that of the longest token at worst, and next to nothing where no token begins.
type finder struct {
	tokens []*addedToken // sorted by normal
	starts [256]bool     // first bytes of tokens
	only   int           // the one byte that all tokens start with, or -1
}

// newFinder makes a finder of tokens, whose normal are not empty; of equal ones the later stands.
func newFinder(tokens []*addedToken) *finder {
	f := &finder{only: -1}
	byText := map[string]*addedToken{}
	for _, t := range tokens {
		byText[t.normal] = t
	}
	for text, t := range byText {
		f.tokens = append(f.tokens, t)
		f.starts[text[0]] = true
	}
	slices.SortFunc(f.tokens, func(a, b *addedToken) int { return strings.Compare(a.normal, b.normal) })
	if n := len(f.tokens); n > 0 && f.tokens[0].normal[0] == f.tokens[n-1].normal[0] {
		f.only = int(f.tokens[0].normal[0])
	}
	return f
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
		if t := f.longest(s[i:]); t != nil {
			return i, i + len(t.normal), t
		}
	}
	return len(s), len(s), nil
}

// longest is the longest token that s starts with, or nil.
func (f *finder) longest(s string) (found *addedToken) {
	among := f.tokens // those that start with s[:n]
	for n := 0; len(among) > 0; n++ {
		if len(among[0].normal) == n {
			found, among = among[0], among[1:]
		}
		if n == len(s) {
			break
		}
		low := sort.Search(len(among), func(k int) bool { return among[k].normal[n] >= s[n] })
		among = among[low:]
		among = among[:sort.Search(len(among), func(k int) bool { return among[k].normal[n] > s[n] })]
	}
	return found
}

// cut calls text with each part of p that is no added token, and token with the others, in order.
func (f *finder) cut(p piece, text func(p piece) error, token func(p piece, id int32)) error {
	s, done, blanks := p.text, 0, 0 // blanks: the end of the white space that a token last took after it
	if len(f.tokens) > 0 {
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
				if err := text(p.cut(done, from)); err != nil {
					return err
				}
			}
			token(p.cut(from, to), t.id)
			done = to
		}
	}
	if done < len(s) {
		return text(p.cut(done, len(s)))
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
