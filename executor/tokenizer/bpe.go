package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// bpe is byte pair encoding: a word starts as its characters, and the neighbours whose merge has the lowest rank
// (of equals, the leftmost) become one symbol, until no neighbours merge. Source: arXiv:1508.07909; byte-level,
// byte-fallback and unknown-token rules as in Hugging Face tokenizers.
type bpe struct {
	voc            *vocabulary
	pairs          pairTable
	low            []int32        // id of each character below len(low), -1 where it is not a token
	high           map[rune]int32 // of the others
	fallback       [256]int32     // id of <0x00> to <0xFF>, -1
	bytes          [256]int32     // id of each byte's byte-level character, -1
	allBytes       bool           // every one of bytes is a token
	byteLevel      bool           // words come as plain bytes
	byteFallback   bool
	unknown        int32 // -1: unknown characters vanish
	fuseUnknown    bool
	ignoreMerges   bool // a word that is a token stays whole
	prefix, suffix string
	scored         *scored // of models whose merges follow from scores, else nil
	cuts           *cuts   // nil where words may not be cut
	cache          *wordCache
}

// newBPE makes a model without merges.
func newBPE(voc *vocabulary) *bpe {
	return &bpe{voc: voc, unknown: -1, high: map[rune]int32{}, cache: newWordCache()}
}

func readBPE(c *config, o object) (model, error) {
	v, err := o.need("vocab")
	if err != nil {
		return nil, err
	}
	voc, err := readVocabulary(v)
	if err != nil {
		return nil, err
	}
	b := newBPE(voc)
	if err := b.readFlags(o); err != nil {
		return nil, err
	}
	b.byteLevel = c.bytewise && !b.byteFallback
	unk, err := o.str("unk_token")
	if err != nil {
		return nil, err
	}
	if !o.byName["unk_token"].absent() {
		if b.unknown = b.voc.id(unk); b.unknown < 0 {
			return nil, o.byName["unk_token"].errorf("%.60q is not in the vocabulary", unk)
		}
	}
	b.characters()
	merges, err := o.need("merges")
	if err != nil {
		return nil, err
	}
	results, err := b.readMerges(merges)
	if err != nil {
		return nil, err
	}
	if !b.byteLevel && !b.ignoreMerges && b.prefix == "" && b.suffix == "" {
		b.cuts = newCuts(b.voc, results)
	}
	return b, nil
}

func (b *bpe) readFlags(o object) error {
	var errs [6]error
	b.byteFallback, errs[0] = o.boolean("byte_fallback", false)
	b.fuseUnknown, errs[1] = o.boolean("fuse_unk", false)
	b.ignoreMerges, errs[2] = o.boolean("ignore_merges", false)
	b.prefix, errs[3] = o.str("continuing_subword_prefix")
	b.suffix, errs[4] = o.str("end_of_word_suffix")
	if d := o.byName["dropout"]; !d.absent() && strings.Trim(d.doc.text[d.start:d.end], "0.") != "" {
		errs[5] = d.errorf("is %.20s, want null: merges are never dropped at random here", d.doc.text[d.start:d.end])
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// characters fills the tables of single characters.
func (b *bpe) characters() {
	b.low = make([]int32, 0x3000) // Latin to CJK punctuation, U+2581 among them
	for i := range b.low {
		b.low[i] = -1
	}
	for token, id := range b.voc.ids {
		if r, n := utf8.DecodeRuneInString(token); n == len(token) && n > 0 {
			b.setChar(r, id)
		}
	}
	b.allBytes = b.prefix == "" && b.suffix == ""
	for i := range 256 {
		b.fallback[i] = b.voc.id(fmt.Sprintf("<0x%02X>", i))
		b.bytes[i] = b.voc.id(string(ByteRune(byte(i))))
		b.allBytes = b.allBytes && b.bytes[i] >= 0
	}
}

func (b *bpe) setChar(r rune, id int32) {
	if int(r) < len(b.low) {
		b.low[r] = id
	} else {
		b.high[r] = id
	}
}

// char is the id of the token that is this one character, or -1.
func (b *bpe) char(r rune) int32 {
	if int(r) < len(b.low) {
		return b.low[r]
	}
	if id, ok := b.high[r]; ok {
		return id
	}
	return -1
}

// readMerges reads pairs in the order of their rank, each "a b" or ["a", "b"], and returns the ids that they make.
func (b *bpe) readMerges(v value) ([]int32, error) {
	var merges [][3]int32
	err := v.items(func(item value) error {
		left, right, err := readMerge(item)
		if err != nil {
			return err
		}
		m, err := b.merge(left, right)
		if err != nil {
			return item.errorf("%v", err)
		}
		merges = append(merges, m)
		return nil
	})
	return b.setMerges(merges), err
}

// merge is the ids of two tokens and of what they make.
func (b *bpe) merge(left, right string) (m [3]int32, err error) {
	l, r := b.voc.id(left), b.voc.id(right)
	if l < 0 {
		return m, fmt.Errorf("%.60q is not in the vocabulary", left)
	}
	if r < 0 {
		return m, fmt.Errorf("%.60q is not in the vocabulary", right)
	}
	if len(right) < len(b.prefix) {
		return m, fmt.Errorf("%.60q is shorter than continuing_subword_prefix %.60q", right, b.prefix)
	}
	id := b.voc.idOf(append([]byte(left), right[len(b.prefix):]...))
	if id < 0 {
		return m, fmt.Errorf("the merge of %.60q and %.60q is not in the vocabulary", left, right)
	}
	return [3]int32{l, r, id}, nil
}

// setMerges enters merges in the order of their rank and returns the ids that they make.
func (b *bpe) setMerges(merges [][3]int32) []int32 {
	b.pairs = newPairTable(len(merges))
	results := make([]int32, len(merges))
	for rank, m := range merges {
		b.pairs.set(m[0], m[1], int32(rank), m[2])
		results[rank] = m[2]
	}
	return results
}

func readMerge(item value) (left, right string, err error) {
	if item.kind() == '"' {
		s, err := item.str()
		if err != nil {
			return "", "", err
		}
		left, right, ok := strings.Cut(s, " ")
		if !ok || strings.Contains(right, " ") {
			return "", "", item.errorf("is %.60q, want two tokens with one space between", s)
		}
		return left, right, nil
	}
	var parts []string
	err = item.items(func(part value) error {
		s, err := part.str()
		parts = append(parts, s)
		return err
	})
	if err == nil && len(parts) != 2 {
		err = item.errorf("has %d parts, want 2", len(parts))
	}
	if err != nil {
		return "", "", err
	}
	return parts[0], parts[1], nil
}

func (b *bpe) vocabulary() *vocabulary { return b.voc }
