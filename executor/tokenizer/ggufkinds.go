package tokenizer

import (
	"math"
	"strings"

	"golang.org/x/text/unicode/norm"
	"pipe.dev/executor/tokenizer/trie"
)

// llama is the BPE of SentencePiece without its rules.
func (g *ggufVocabulary) llama(t *Tokenizer) {
	t.normalize = (&spacing{prefix: g.flag("add_space_prefix", true), mark: spaceMark}).normalize
	b := newBPE(g.voc)
	b.unknown, b.byteFallback, b.scored = g.id("unknown_token_id", 0), true, &scored{}
	b.characters()
	b.score(piecesOf{scores: g.scores, may: func(int32) bool { return true }})
	t.model = b
	g.found(t)
	g.ends(t, 1, 2, true, false)
	g.spaced(t)
}

// spaced decodes marks as spaces.
func (g *ggufVocabulary) spaced(t *Tokenizer) {
	t.decoders = []decoder{&pieceDecoder{strip: g.flag("add_space_prefix", true), unknown: "\xFF", bytes: true}}
}

// gpt2 is BPE of bytes, with listed merges.
func (g *ggufVocabulary) gpt2(t *Tokenizer) {
	pre, ok := g.value("pre").(string)
	if !ok {
		pre = "default"
	}
	r, err := recipeOf("gguf", pre)
	if err == nil {
		t.split, err = r.splitters()
	}
	if err != nil {
		g.fail("pre", "%v", err)
		return
	}
	b := newBPE(g.voc)
	b.byteLevel, b.ignoreMerges = true, r.Whole
	b.characters()
	var merges [][3]int32
	for i, line := range list[string](g, "merges") {
		left, right, _ := cutMerge(line)
		m, err := b.merge(left, right)
		if err != nil {
			g.fail("merges", "%d: %v", i, err)
			return
		}
		merges = append(merges, m)
	}
	b.setMerges(merges)
	t.model = b
	g.found(t)
	for _, a := range t.added {
		a.shown = string(appendByteRunes(nil, a.content)) // which the decoder undoes
		if a.special {
			t.special[a.shown] = true
		}
	}
	g.ends(t, 11, 11, r.BOS, false)
	t.decoders = []decoder{byteLevelDecoder{}}
}

// cutMerge parts a merge at the first space after its first byte.
func cutMerge(line string) (left, right string, ok bool) {
	if line == "" {
		return "", "", false
	}
	n := strings.IndexByte(line[1:], ' ')
	if n < 0 {
		return line, "", false
	}
	return line[:n+1], line[n+2:], true
}

// bert is WordPiece; in the file the beginnings of words are marked, and not what goes on.
func (g *ggufVocabulary) bert(t *Tokenizer) {
	voc := &vocabulary{ids: map[string]int32{}}
	for id, text := range g.voc.tokens {
		if k := g.kinds[id]; k != controlPiece && k != unknownPiece && k != userPiece {
			if begin, ok := strings.CutPrefix(text, spaceMark); ok {
				text = begin
			} else if !strings.HasPrefix(text, "[EMPTY_") {
				text = "##" + text
			}
		}
		if err := voc.add(text, int32(id)); err != nil {
			g.fail("tokens", "%v", err)
			return
		}
	}
	g.voc = voc
	m := &wordPiece{voc: voc, unknown: g.id("unknown_token_id", 100), longest: math.MaxInt}
	m.pieces = trie.New(voc.tokens)
	m.inside = m.pieces.Walk(trie.Root, "##")
	t.model = m
	lower := g.flag("normalizer.lowercase", true)
	accents := g.flag("normalizer.strip_accents", lower)
	t.normalize = func(p piece) (piece, error) {
		p = p.each(cleaned)
		if accents {
			p = normalForm(norm.NFD, p).each(without(isNonspacing))
		}
		if lower {
			p = lowercase(p)
		}
		return apartChinese(p), nil
	}
	t.split, _ = readBertPreTokenizer(nil, object{})
	g.found(t)
	g.ends(t, 101, -1, true, false)
	if sep := g.id("seperator_token_id", 102); sep >= 0 && g.flag("add_sep_token", true) {
		t.wrap.after = []int32{sep}
		t.post = &wrapper{t.wrap, voc.tokens}
	}
	t.decoders = []decoder{wordPieceDecoder([]byte("##"), true)}
}

// t5 is Unigram with the rules of SentencePiece.
func (g *ggufVocabulary) t5(t *Tokenizer) {
	n := &spacing{prefix: g.flag("add_space_prefix", false), merge: g.flag("remove_extra_whitespaces", false), mark: spaceMark}
	var rules []byte
	switch v := g.value("precompiled_charsmap").(type) {
	case nil:
	case []uint8:
		rules = v
	case []int8:
		for _, b := range v {
			rules = append(rules, byte(b))
		}
	default:
		g.fail("precompiled_charsmap", "is of type %T, want []uint8", v)
	}
	if len(rules) > 0 {
		var err error
		if n.rules, err = newCharsMap(rules); err != nil {
			g.fail("precompiled_charsmap", "%v", err)
			return
		}
	}
	if users := newFinder(g.ofKind(userPiece)); len(users.tokens) > 0 {
		n.kept = users
	}
	t.normalize = n.normalize
	u := &unigram{voc: g.voc, unknown: g.id("unknown_token_id", 2), strict: true, cache: newWordCache()}
	texts, low := make([]string, len(g.kinds)), float32(math.MaxFloat32)
	u.scores = make([]float64, len(g.kinds))
	for id, k := range g.kinds {
		switch k {
		case normalPiece:
			low = min(low, g.scores[id])
			fallthrough
		case unusedPiece:
			u.scores[id] = float64(g.scores[id])
			fallthrough
		case userPiece:
			texts[id] = g.voc.tokens[id]
		}
	}
	u.pieces, u.unknownScore = trie.New(texts), float64(low-unknownPenalty)
	t.model = u
	g.found(t)
	g.ends(t, -1, 1, false, true)
	g.spaced(t)
}

// wrapper puts ids around a text.
type wrapper struct {
	wrap
	tokens []string
}

func (w *wrapper) ids(func(int32)) {}

func (w *wrapper) process(list []*Encoding, special bool) []*Encoding {
	if !special {
		return list
	}
	var out []*Encoding
	for i, e := range list {
		for _, id := range w.before {
			out = append(out, repeated(id, w.tokens[id], int32(i), 1, true))
		}
		out = append(out, e)
		for _, id := range w.after {
			out = append(out, repeated(id, w.tokens[id], int32(i), 1, true))
		}
	}
	return out
}
