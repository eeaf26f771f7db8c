package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The files of a vocabulary.
const (
	vocabularyJSON = "vocab.json" // ids by token, with merges.txt beside it
	vocabularyText = "vocab.txt"  // a token a line
	mergesText     = "merges.txt"
)

// vocabularyRecipe is what a class of tokenizers adds to a bare vocabulary.
type vocabularyRecipe struct {
	Classes   string                     `json:"classes"` // names that tokenizer_config.json has
	Types     string                     `json:"types"`   // of models that have such a tokenizer
	Options   map[string]json.RawMessage `json:"options"` // of tokenizer_config.json, with what holds without
	Tokens    map[string]string          `json:"tokens"`  // special tokens, likewise
	Tokenizer map[string]any             `json:"tokenizer"`
}

// tokenKeys are the keys of special tokens, in the order in which those that a vocabulary lacks are added.
var tokenKeys = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// bare is a vocabulary without a tokenizer.json, on its way to one.
type bare struct {
	folder, file string
	config       object // tokenizer_config.json; byName is nil where there is none
	recipe       *vocabularyRecipe
	vocab        map[string]int32
	next         int32
	tokens       map[string]string // special ones by key
	added        []map[string]any
}

// openVocabulary reads vocab.json with merges.txt, or vocab.txt, as transformers does where there is no tokenizer.json: the other
// parts follow from tokenizer_class of tokenizer_config.json, or else from model_type of config.json, by
// "vocabularies" in patterns.json, which takes options and special tokens from tokenizer_config.json. Without either, vocab.txt is
// read as the first, vocab.json as the second of these.
func openVocabulary(path string) (*Tokenizer, error) {
	b := &bare{folder: filepath.Dir(path), file: path, vocab: map[string]int32{}, tokens: map[string]string{}}
	var err error
	if b.config, err = besides(b.folder, "tokenizer_config.json"); err != nil {
		return nil, err
	}
	if err := b.pick(); err != nil {
		return nil, err
	}
	model := map[string]any{}
	if filepath.Base(path) == vocabularyText {
		err = b.readText()
	} else if err = b.readJSON(); err == nil {
		model["merges"], err = b.readMerges()
	}
	if err == nil {
		err = cmp.Or(b.readTokens(), b.addTokens())
	}
	if err != nil {
		return nil, err
	}
	model["vocab"] = b.vocab
	return b.build(model)
}

// besides reads a file of a folder as an object; where it is absent, as an empty one.
func besides(folder, file string) (object, error) {
	name := filepath.Join(folder, file)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return object{}, nil
	}
	if err != nil {
		return object{}, err
	}
	root, err := parseDocument(name, data)
	if err != nil {
		return object{}, err
	}
	return root.object()
}

// pick finds the recipe.
func (b *bare) pick() error {
	all := patternsOnce().Vocabularies
	class := b.config.byName["tokenizer_class"]
	if !class.absent() {
		name, err := class.str()
		if err != nil {
			return err
		}
		var known []string
		for _, r := range all {
			if slices.Contains(strings.Fields(r.Classes), strings.TrimSuffix(name, "Fast")) {
				b.recipe = r
				return nil
			}
			known = append(known, strings.Fields(r.Classes)...)
		}
		return class.errorf("%v: there is no tokenizer.json, and what to do with %s follows from it", unknownName(name, known), filepath.Base(b.file))
	}
	config, err := besides(b.folder, "config.json")
	if err != nil {
		return err
	}
	if v := config.byName["model_type"]; !v.absent() {
		name, err := v.str()
		if err != nil {
			return err
		}
		for _, r := range all {
			if slices.Contains(strings.Fields(r.Types), name) {
				b.recipe = r
				return nil
			}
		}
		return v.errorf("%.60q says nothing of how to read %s: give a tokenizer.json, or tokenizer_class in tokenizer_config.json", name, filepath.Base(b.file))
	}
	b.recipe = all[0]
	if filepath.Base(b.file) == vocabularyJSON {
		b.recipe = all[1]
	}
	return nil
}

// enter adds a token with its id.
func (b *bare) enter(token string, id int32) {
	b.vocab[token] = id
	b.next = max(b.next, id+1)
}

// readText reads a token a line; of two that are equal the later stands, as in the reference.
func (b *bare) readText() error {
	data, err := os.ReadFile(b.file)
	if err != nil {
		return err
	}
	if at := invalidUTF8(string(data)); at >= 0 {
		return fmt.Errorf("%s: not UTF-8 at byte %d", b.file, at)
	}
	id := int32(0)
	for line := range strings.Lines(string(data)) {
		b.enter(strings.TrimRight(line, " \t\r\n\v\f\u0085\u00a0\u2028\u2029\u3000"), id)
		id++
	}
	return nil
}

// readJSON reads ids by token.
func (b *bare) readJSON() error {
	data, err := os.ReadFile(b.file)
	if err != nil {
		return err
	}
	root, err := parseDocument(b.file, data)
	if err != nil {
		return err
	}
	voc, err := readVocabulary(root)
	if err != nil {
		return err
	}
	for token, id := range voc.ids {
		b.enter(token, id)
	}
	return nil
}

// readMerges reads two tokens a line; lines with #version are none.
func (b *bare) readMerges() ([][2]string, error) {
	name := filepath.Join(b.folder, mergesText)
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if at := invalidUTF8(string(data)); at >= 0 {
		return nil, fmt.Errorf("%s: not UTF-8 at byte %d", name, at)
	}
	merges, number := [][2]string{}, 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#version") {
			continue
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return nil, fmt.Errorf("%s:%d: is %.60q, want two tokens with one space between", name, number, line)
		}
		for _, token := range []string{left, right, left + right} {
			if _, ok := b.vocab[token]; !ok {
				return nil, fmt.Errorf("%s:%d: %.60q is not in %s", name, number, token, vocabularyJSON)
			}
		}
		merges = append(merges, [2]string{left, right})
	}
	return merges, nil
}

// build makes the tokenizer.
func (b *bare) build(model map[string]any) (*Tokenizer, error) {
	file, err := b.filled(b.recipe.Tokenizer)
	if err != nil {
		return nil, err
	}
	whole := file.(map[string]any)
	for k, v := range whole["model"].(map[string]any) {
		model[k] = v
	}
	whole["model"], whole["added_tokens"] = model, b.added
	text, err := json.Marshal(whole)
	if err != nil {
		return nil, err
	}
	t, err := Parse(b.file, text)
	if err != nil {
		return nil, err
	}
	t.fromJSON = false // tokenizer_config.json may ask for more
	if id, ok := b.vocab[b.tokens["bos_token"]]; ok {
		t.setBOS(id)
	}
	if id, ok := b.vocab[b.tokens["eos_token"]]; ok {
		t.addEOS(id)
	}
	return t, nil
}

// filled is a part of a tokenizer.json with values for "$NAME", options and special tokens, for "$NAME.id", and for "@NAME", patterns.
func (b *bare) filled(part any) (any, error) {
	var err error
	switch x := part.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, v := range x {
			if out[k], err = b.filled(v); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		out := make([]any, len(x))
		for i, v := range x {
			if out[i], err = b.filled(v); err != nil {
				return nil, err
			}
		}
		return out, nil
	case string:
		if name, ok := strings.CutPrefix(x, "@"); ok {
			return patternsOnce().Patterns[name], nil
		}
		if name, ok := strings.CutPrefix(x, "$"); ok {
			return b.value(name)
		}
	}
	return part, nil
}

// value is that of a special token, its id, or an option.
func (b *bare) value(name string) (any, error) {
	if key, ok := strings.CutSuffix(name, ".id"); ok {
		return b.vocab[b.tokens[key]], nil // addTokens entered it
	}
	if _, ok := b.recipe.Tokens[name]; ok {
		return b.tokens[name], nil
	}
	v := b.config.byName[name]
	if v.absent() {
		return b.recipe.Options[name], nil
	}
	if k := v.kind(); k != 't' && k != 'f' {
		return nil, v.errorf("is %s, want true or false", v.is())
	}
	return v.kind() == 't', nil
}
