package quantize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/gguf"
	"pipe.dev/executor/model"
	"pipe.dev/schema"
)

// The types of tokens in tokenizer.ggml.token_type.
const (
	normalToken  int32 = 1
	unknownToken int32 = 2
	controlToken int32 = 3
	userToken    int32 = 4
	unusedToken  int32 = 5
	byteToken    int32 = 6
)

// tokenizerFile is what is read of a tokenizer.json.
type tokenizerFile struct {
	Model struct {
		Type         string
		Vocab        json.RawMessage
		Merges       []json.RawMessage
		ByteFallback bool    `json:"byte_fallback"`
		UnkToken     *string `json:"unk_token"`
	}
	Added []struct {
		ID      int
		Content string
		Special bool
	} `json:"added_tokens"`
	PreTokenizer *preTokenizer `json:"pre_tokenizer"`
}

type preTokenizer struct {
	Type     string
	Parts    []preTokenizer `json:"pretokenizers"`
	Pattern  struct{ Regex, String *string }
	UseRegex *bool `json:"use_regex"`
}

// vocabulary adds the tokenizer of a folder, as the kinds of GGUF have it. One
// that none of them is comes as it is, as tokenizer.huggingface.json.
func (s *Source) vocabulary(dir string) error {
	name := filepath.Join(dir, "tokenizer.json")
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		s.warnings = append(s.warnings, dir+" has no tokenizer.json: the file has no vocabulary")
		s.metadata = append(s.metadata, gguf.Pair{Key: "tokenizer.ggml.model", Value: "none"})
		return nil
	}
	if err != nil {
		return checkpoint.FileError(name, err)
	}
	t, err := model.OpenTokenizer(dir) // proves it, and knows what begins and ends a text
	if err != nil {
		return err
	}
	var f tokenizerFile
	if err := json.Unmarshal(text, &f); err != nil {
		return checkpoint.FileError(name, err)
	}
	add := func(key string, value any) {
		s.metadata = append(s.metadata, gguf.Pair{Key: "tokenizer." + key, Value: value})
	}
	kind, pre, err := f.kind()
	switch {
	case err != nil:
		return err
	case kind == "":
		add("ggml.model", "none")
		add("huggingface.json", string(text))
		s.warnings = append(s.warnings, fmt.Sprintf("%s: no kind of vocabulary in GGUF is this tokenizer: it is carried whole, which other programs may not read", name))
	default:
		add("ggml.model", kind)
		if pre != "" {
			add("ggml.pre", pre)
		}
		if err := f.tokens(kind, add); err != nil {
			return checkpoint.FileError(name, err)
		}
	}
	if kind == "llama" {
		ids, err := t.Encode(nil, "a", false)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			first, _ := t.Token(ids[0])
			add("ggml.add_space_prefix", strings.HasPrefix(first, "▁"))
		}
	}
	begin, err := t.Encode(nil, "", true)
	if err != nil {
		return err
	}
	if id, ok := t.BOS(); ok {
		add("ggml.bos_token_id", uint32(id))
		add("ggml.add_bos_token", len(begin) > 0 && begin[0] == id)
	}
	if eos := t.EOS(); len(eos) > 0 {
		add("ggml.eos_token_id", uint32(eos[0]))
	}
	template, err := chatTemplate(dir)
	if err != nil {
		return err
	}
	if template != "" {
		add("chat_template", template)
	}
	return nil
}

// kind is the kind of vocabulary that a tokenizer is, "" for none, and how it
// cuts texts before.
func (f *tokenizerFile) kind() (kind, pre string, err error) {
	if f.Model.Type != "BPE" && f.Model.Type != "" {
		return "", "", nil
	}
	if f.Model.ByteFallback {
		return "llama", "", nil
	}
	cuts := f.PreTokenizer.cuts()
	if len(cuts) == 0 || cuts[len(cuts)-1] != "bytes" {
		return "", "", nil
	}
	pre, ok, err := schema.GGUFPre(cuts[:len(cuts)-1])
	if err != nil || !ok {
		return "", "", err
	}
	return "gpt2", pre, nil
}

// cuts lists how a text is cut: regular expressions, "digits", and "bytes" at
// the end of what works on bytes.
func (p *preTokenizer) cuts() []string {
	if p == nil {
		return nil
	}
	switch p.Type {
	case "Sequence":
		var all []string
		for _, x := range p.Parts {
			all = append(all, x.cuts()...)
		}
		return all
	case "Split":
		if p.Pattern.Regex != nil {
			return []string{*p.Pattern.Regex}
		}
	case "Digits":
		return []string{"digits"}
	case "ByteLevel":
		if p.UseRegex == nil || *p.UseRegex {
			return []string{"words", "bytes"}
		}
		return []string{"bytes"}
	}
	return []string{p.Type}
}

// tokens adds the vocabulary.
func (f *tokenizerFile) tokens(kind string, add func(key string, value any)) error {
	var ids map[string]int
	if err := json.Unmarshal(f.Model.Vocab, &ids); err != nil {
		return err
	}
	n := 0
	for _, id := range ids {
		n = max(n, id+1)
	}
	for _, a := range f.Added {
		n = max(n, a.ID+1)
	}
	const most = 1 << 24
	if n > most || len(ids) == 0 {
		return fmt.Errorf("has ids up to %d", n-1)
	}
	words, types := make([]string, n), make([]int32, n)
	for i := range types {
		words[i], types[i] = fmt.Sprintf("[PAD%d]", i), unusedToken
	}
	for w, id := range ids {
		if id < 0 {
			return fmt.Errorf("token %q has id %d", w, id)
		}
		words[id], types[id] = w, normalToken
		if kind == "llama" && len(w) == 6 && strings.HasPrefix(w, "<0x") && strings.HasSuffix(w, ">") {
			types[id] = byteToken
		}
	}
	for _, a := range f.Added {
		words[a.ID], types[a.ID] = a.Content, userToken
		if a.Special {
			types[a.ID] = controlToken
		}
	}
	if u := f.Model.UnkToken; u != nil {
		if id, ok := ids[*u]; ok && kind == "llama" {
			types[id] = unknownToken
			add("ggml.unknown_token_id", uint32(id))
		}
	}
	add("ggml.tokens", words)
	merges, scores, err := f.merges(ids, n)
	if err != nil {
		return err
	}
	if kind == "llama" { // joins what scores most: the rank of a merge, negative
		add("ggml.scores", scores)
	} else {
		add("ggml.merges", merges)
	}
	add("ggml.token_type", types)
	return nil
}

// merges lists the merges, and gives each token the rank of the first that
// makes it.
func (f *tokenizerFile) merges(ids map[string]int, n int) ([]string, []float32, error) {
	merges, scores := make([]string, 0, len(f.Model.Merges)), make([]float32, n)
	for i := range scores {
		scores[i] = float32(math.Inf(-1))
	}
	for rank, raw := range f.Model.Merges {
		var both string
		var pair [2]string
		if json.Unmarshal(raw, &both) == nil {
			left, right, ok := strings.Cut(both, " ")
			if !ok {
				return nil, nil, fmt.Errorf("merge %d is %q", rank, both)
			}
			pair = [2]string{left, right}
		} else if err := json.Unmarshal(raw, &pair); err != nil {
			return nil, nil, err
		}
		merges = append(merges, pair[0]+" "+pair[1])
		if id, ok := ids[pair[0]+pair[1]]; ok && scores[id] < float32(-rank) {
			scores[id] = float32(-rank)
		}
	}
	for i, x := range scores {
		if math.IsInf(float64(x), -1) {
			scores[i] = -float32(len(merges)) - 1
		}
	}
	return merges, scores, nil
}

// chatTemplate is that of a folder, "" if it has none.
func chatTemplate(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "chat_template.jinja"))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return string(text), err
	}
	name := filepath.Join(dir, "tokenizer_config.json")
	if text, err = os.ReadFile(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return "", err
	}
	var config struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return "", checkpoint.FileError(name, err)
	}
	var template string
	if json.Unmarshal(config.Template, &template) == nil {
		return template, nil
	}
	var list []struct{ Name, Template string }
	if json.Unmarshal(config.Template, &list) == nil {
		for _, t := range list {
			if t.Name == "default" {
				return t.Template, nil
			}
		}
	}
	return "", nil
}

// madeUp is a vocabulary of n tokens of the kind "llama" for weights that were
// drawn: three that steer, bytes, and words.
func madeUp(n int) []gguf.Pair {
	words, types, scores := make([]string, n), make([]int32, n), make([]float32, n)
	letter := func(i int) string { return string(rune('a' + i%26)) }
	for i := range n {
		scores[i] = -float32(i)
		switch {
		case i < 3:
			words[i], types[i] = [...]string{"<unk>", "<s>", "</s>"}[i], [...]int32{unknownToken, controlToken, controlToken}[i]
		case i < 259:
			words[i], types[i] = fmt.Sprintf("<0x%02X>", i-3), byteToken
		default:
			types[i], words[i] = normalToken, "▁"
			for x := i - 259; ; x = x/26 - 1 {
				words[i] += letter(x)
				if x < 26 {
					break
				}
			}
		}
	}
	return []gguf.Pair{{Key: "tokenizer.ggml.model", Value: "llama"}, {Key: "tokenizer.ggml.tokens", Value: words}, {Key: "tokenizer.ggml.scores", Value: scores},
		{Key: "tokenizer.ggml.token_type", Value: types}, {Key: "tokenizer.ggml.bos_token_id", Value: uint32(min(1, n-1))},
		{Key: "tokenizer.ggml.eos_token_id", Value: uint32(min(2, n-1))}, {Key: "tokenizer.ggml.unknown_token_id", Value: uint32(0)},
		{Key: "tokenizer.ggml.add_bos_token", Value: true}}
}
