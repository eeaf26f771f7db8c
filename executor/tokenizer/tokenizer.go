// Package tokenizer turns text into ids and back, as a Hugging Face tokenizer.json says, a SentencePiece model, ranks of
// tiktoken or the vocabulary in a GGUF file.
//
// A text goes through the file's added tokens, normalizer, pre-tokenizer, model and post-processor; ids go back through
// its decoder. Each of these is a kind named by "type", and a row in a table of this package (normalizers,
// preTokenizers, models, postProcessors, decoders): another kind is a file and a line.
//
// Ids, text and offsets equal those of the library that a file is for: tokenizers 0.23, sentencepiece 0.2.3, tiktoken
// 0.14, llama.cpp (docs/tokenizers.md).
//
// Non-goals: training, which is package train's.
package tokenizer

import (
	"cmp"
	"fmt"
	"sync"
)

// Tokenizer is read from one file and then never changes: any number of goroutines may use it at once.
type Tokenizer struct {
	name      string
	voc       *vocabulary
	added     map[int32]*addedToken
	special   map[string]bool // contents of special added tokens
	raw       *finder         // of added tokens sought in the text as it is
	normal    *finder         // of those sought in the normalized text
	normalize normalizer      // nil: none
	split     []preTokenizer
	model     model
	post      postProcessor // nil: none
	wrap      wrap          // what it puts around one text
	decoders  []decoder
	fromJSON  bool // it says all there is to say
	joined    bool // tokens are decoded without spaces between
	bos       int32
	eos       []int32
	runs      sync.Pool // of *run
	levelOnce sync.Once
	level     []string // see levelText

	truncation *truncation // nil: none
	padding    *padding    // nil: none
}

// wrap is ids before and after a text.
type wrap struct{ before, after []int32 }

// newTokenizer makes a tokenizer without parts.
func newTokenizer(name string) *Tokenizer {
	t := &Tokenizer{
		name: name, added: map[int32]*addedToken{}, special: map[string]bool{}, raw: newFinder(nil), normal: newFinder(nil), bos: -1,
	}
	t.runs.New = func() any { return &run{t: t} }
	return t
}

// Parse reads the bytes of a tokenizer.json. The name is for errors, which are one line: name:line:column: path: fact.
func Parse(name string, data []byte) (*Tokenizer, error) {
	root, err := parseDocument(name, data)
	if err != nil {
		return nil, err
	}
	o, err := root.object()
	if err != nil {
		return nil, err
	}
	t := newTokenizer(name)
	t.fromJSON = true
	c := &config{classes: newClasses()}
	if err := t.parts(c, o); err != nil {
		return nil, err
	}
	var last *byteLevel
	if n := len(t.split); n > 0 {
		last, c.bytewise = t.split[n-1].(*byteLevel)
	}
	v, err := o.need("model")
	if err != nil {
		return nil, err
	}
	if t.model, err = readModel(c, v); err != nil {
		return nil, err
	}
	if b, reads := t.model.(*bpe); reads && last != nil {
		last.write = !b.byteLevel
	}
	t.voc = t.model.vocabulary()
	if v := o.byName["added_tokens"]; !v.absent() {
		if err := t.add(v); err != nil {
			return nil, err
		}
	}
	if t.post != nil {
		var err error
		t.post.ids(func(id int32) {
			if _, ok := t.Token(id); !ok && err == nil {
				err = o.byName["post_processor"].errorf("id %d is not in the vocabulary", id)
			}
		})
		if err != nil {
			return nil, err
		}
		t.wrap = t.around()
	}
	return t, nil
}

// around is what the post-processor puts around a text.
func (t *Tokenizer) around() (w wrap) {
	before := true
	for _, e := range t.post.process([]*Encoding{repeated(-1, "", 0, 1, true)}, true) {
		for _, id := range e.IDs {
			switch {
			case id < 0:
				before = false
			case before:
				w.before = append(w.before, id)
			default:
				w.after = append(w.after, id)
			}
		}
	}
	return w
}

// toAdd is the number of tokens that the post-processor will add.
func (t *Tokenizer) toAdd(o EncodeOptions) (n int) {
	if !o.Special || t.post == nil {
		return 0
	}
	if o.Pair == nil {
		return len(t.wrap.before) + len(t.wrap.after)
	}
	for _, e := range t.post.process([]*Encoding{{}, {}}, true) {
		n += len(e.IDs)
	}
	return n
}

// parts reads all but the model and the added tokens; each may be null or absent.
func (t *Tokenizer) parts(c *config, o object) error {
	if v := o.byName["version"]; !v.absent() {
		if s, err := v.str(); err != nil || s != "1.0" {
			return v.errorf("is %.20s, want \"1.0\"", v.doc.text[v.start:v.end])
		}
	}
	t.joined = !o.byName["decoder"].absent()
	return cmp.Or(
		optional(c, o, "normalizer", normalizers, &t.normalize),
		optional(c, o, "pre_tokenizer", preTokenizers, &t.split),
		optional(c, o, "post_processor", postProcessors, &t.post),
		optional(c, o, "decoder", decoders, &t.decoders),
		optionally(o, "truncation", readTruncation, &t.truncation),
		optionally(o, "padding", readPadding, &t.padding))
}

// optionally reads a field, if it is there.
func optionally[T any](o object, key string, read func(value) (T, error), to *T) (err error) {
	if v := o.byName[key]; !v.absent() {
		*to, err = read(v)
	}
	return err
}

// add enters the added tokens; those that are in the model's vocabulary keep its id.
func (t *Tokenizer) add(v value) error {
	list, err := readAdded(v)
	if err != nil {
		return err
	}
	limit := sparse(len(t.voc.tokens) + len(list))
	for i := range list {
		a := &list[i]
		if id := t.voc.id(a.content); id >= 0 && id != a.id {
			return v.errorf("token %.60q has id %d here and %d in the vocabulary", a.content, a.id, id)
		} else if id < 0 {
			if int64(a.id) > limit {
				return v.errorf("id %d is absurd for a vocabulary of %d tokens", a.id, len(t.voc.ids))
			}
			if err := t.voc.add(a.content, a.id); err != nil {
				return v.errorf("%v", err)
			}
		}
		a.normal = a.content
		if a.normalized && t.normalize != nil {
			p, err := t.normalize(piece{text: a.content})
			if err != nil {
				return v.errorf("token %.60q: %v", a.content, err)
			}
			a.normal = p.text
		}
		a.shown = a.normal
		t.added[a.id] = a
		if a.special {
			t.special[a.content] = true
		}
	}
	var raw, normal []*addedToken
	for _, a := range list {
		switch a := t.added[a.id]; { // of two entries for one token the later stands
		case a.normal == "":
		case a.normalized:
			normal = append(normal, a)
		default:
			raw = append(raw, a)
		}
	}
	t.raw, t.normal = newFinder(raw), newFinder(normal)
	return nil
}

// Encode appends the ids of text to dst. With special, the post-processor's tokens (begin of text and the like) are
// put around them; the added tokens in the text are found either way. Nothing is cut or padded, as EncodeFull does. Text
// that is not UTF-8 is an error. The cost is at most n log n for n bytes.
func (t *Tokenizer) Encode(dst []int32, text string, special bool) ([]int32, error) {
	if at := invalidUTF8(text); at >= 0 {
		return dst, fmt.Errorf("text is not UTF-8 at byte %d", at)
	}
	before := len(dst)
	if special {
		dst = append(dst, t.wrap.before...)
	}
	r := t.runs.Get().(*run)
	r.dst = dst
	err := t.encode(r, text)
	dst, r.dst = r.dst, nil
	t.runs.Put(r)
	if err != nil {
		return dst[:before], fmt.Errorf("%s: %w", t.name, err)
	}
	if special {
		dst = append(dst, t.wrap.after...)
	}
	return dst, nil
}

func (t *Tokenizer) encode(r *run, text string) error {
	token := func(p piece, id int32) {
		r.dst = append(r.dst, id)
		if r.track {
			r.out.append(p.text, p.origin(), r.word)
			r.word++
		}
	}
	return t.raw.cut(original(text, r.track), func(p piece) error {
		if t.normalize != nil {
			var err error
			if p, err = t.normalize(p); err != nil {
				return err
			}
		}
		return t.normal.cut(p, func(p piece) error { return r.next(0, p) }, token)
	}, token)
}

// Size is the number of ids, gaps included: 1 + the largest.
func (t *Tokenizer) Size() int { return len(t.voc.tokens) }

// Token is the token of an id as the file spells it.
func (t *Tokenizer) Token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(t.voc.tokens) || !t.voc.has[id] {
		return "", false
	}
	return t.voc.tokens[id], true
}

// ID is the id of a token as the file spells it.
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.voc.ids[token]
	return id, ok
}

// IsSpecial tells whether an id is that of a special added token.
func (t *Tokenizer) IsSpecial(id int32) bool {
	a := t.added[id]
	return a != nil && a.special
}

// BOS is the id that begins a text, if the files beside tokenizer.json name one.
func (t *Tokenizer) BOS() (int32, bool) { return max(t.bos, 0), t.bos >= 0 }

// EOS is the ids that end a text, by the files beside tokenizer.json; the caller must not change it.
func (t *Tokenizer) EOS() []int32 { return t.eos }
