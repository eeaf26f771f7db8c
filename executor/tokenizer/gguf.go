package tokenizer

import (
	"errors"
	"fmt"
	"strings"
)

// ParseGGUF makes a tokenizer of the vocabulary in the metadata of a GGUF file: value gives what is under a key such as
// "tokenizer.ggml.tokens", or nil, as executor/gguf reads it. Kinds are llama, gpt2 (whose "pre" must be known), bert
// and t5. Ids equal those of llama.cpp, which finds control and user-defined tokens in a text. The name is for errors.
func ParseGGUF(name string, value func(key string) any) (*Tokenizer, error) {
	g := &ggufVocabulary{value: func(key string) any { return value("tokenizer.ggml." + key) }}
	t, err := g.tokenizer(name)
	if err != nil {
		return nil, fmt.Errorf("%s: metadata %w", name, err)
	}
	return t, nil
}

// ggufVocabulary reads the metadata; the first mistake stays in err.
type ggufVocabulary struct {
	value func(key string) any
	pieces
	err error
}

func (g *ggufVocabulary) fail(key, format string, args ...any) {
	if g.err == nil {
		g.err = fmt.Errorf("tokenizer.ggml.%s %s", key, fmt.Sprintf(format, args...))
	}
}

func (g *ggufVocabulary) tokenizer(name string) (*Tokenizer, error) {
	kind, _ := g.value("model").(string)
	makers := []struct {
		kind string
		make func(*Tokenizer)
	}{{"llama", g.llama}, {"gpt2", g.gpt2}, {"bert", g.bert}, {"t5", g.t5}}
	known := make([]string, len(makers))
	for i, m := range makers {
		known[i] = m.kind
		if m.kind != kind {
			continue
		}
		g.read()
		t := newTokenizer(name)
		if g.err == nil {
			t.joined = true
			m.make(t)
		}
		return t, g.err
	}
	if g.value("model") == nil {
		return nil, errors.New("has no tokenizer.ggml.model: there is no vocabulary in the file")
	}
	return nil, fmt.Errorf("tokenizer.ggml.model %.40q is not known%s; known are %s", kind, nearest(kind, known), strings.Join(known, ", "))
}

// list reads an array; it may be absent.
func list[T any](g *ggufVocabulary, key string) []T {
	v := g.value(key)
	if v == nil {
		return nil
	}
	l, ok := v.([]T)
	if !ok {
		g.fail(key, "is of type %T, want %T", v, l)
	}
	return l
}

// read reads tokens, scores and kinds.
func (g *ggufVocabulary) read() {
	g.voc = &vocabulary{ids: map[string]int32{}}
	tokens := list[string](g, "tokens")
	scores, kinds := list[float32](g, "scores"), list[int32](g, "token_type")
	switch {
	case g.err != nil:
	case len(tokens) == 0:
		g.fail("tokens", "is absent or empty")
	case scores != nil && len(scores) < len(tokens):
		g.fail("scores", "has %d entries for %d tokens", len(scores), len(tokens))
	case kinds != nil && len(kinds) < len(tokens):
		g.fail("token_type", "has %d entries for %d tokens", len(kinds), len(tokens))
	}
	for i, text := range tokens {
		if g.err != nil {
			return
		}
		score, kind := float32(0), int8(normalPiece)
		if scores != nil {
			score = scores[i]
		}
		if kinds != nil && kinds[i] >= 0 && kinds[i] <= bytePiece {
			kind = int8(kinds[i])
		}
		if text == "" {
			text = fmt.Sprintf("[EMPTY_%d]", i)
		}
		if err := g.add(text, score, kind); err != nil {
			g.fail("tokens", "%v", err)
		}
	}
}

// id reads the id of a special token, or gives otherwise; -1 is none.
func (g *ggufVocabulary) id(key string, otherwise int32) int32 {
	switch v := g.value(key).(type) {
	case nil:
	case uint32:
		if int64(v) < int64(len(g.kinds)) {
			return int32(v)
		}
	default:
		g.fail(key, "is of type %T, want uint32", v)
	}
	if int(otherwise) >= len(g.kinds) {
		return -1
	}
	return otherwise
}

func (g *ggufVocabulary) flag(key string, otherwise bool) bool {
	switch v := g.value(key).(type) {
	case nil:
		return otherwise
	case bool:
		return v
	default:
		g.fail(key, "is of type %T, want bool", v)
		return false
	}
}

// ends sets the tokens around a text: what the file says, or else whether there is one before it and one after it.
func (g *ggufVocabulary) ends(t *Tokenizer, bos, eos int32, before, after bool) {
	bos, eos = g.id("bos_token_id", bos), g.id("eos_token_id", eos)
	if bos >= 0 {
		t.setBOS(bos)
		if g.flag("add_bos_token", before) {
			t.wrap.before = []int32{bos}
		}
	}
	for _, key := range []string{"eos_token_id", "eot_token_id", "eom_token_id"} {
		if id := g.id(key, -1); id >= 0 {
			t.addEOS(id)
		}
	}
	if eos >= 0 {
		t.addEOS(eos)
		if g.flag("add_eos_token", after) {
			t.wrap.after = []int32{eos}
		}
	}
	t.post = &wrapper{t.wrap, g.voc.tokens}
}

// found makes the tokens that are found in a text before all else.
func (g *ggufVocabulary) found(t *Tokenizer) {
	t.voc = g.voc
	all := g.ofKind(controlPiece, userPiece, unknownPiece)
	for _, a := range all {
		t.added[a.id] = a
		if a.special {
			t.special[a.content] = true
		}
	}
	t.raw = newFinder(all)
}
