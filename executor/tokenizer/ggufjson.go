package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// GGUFFiles are the files of a folder that make the tokenizer of a vocabulary in a GGUF file, as ParseGGUF reads it:
// tokenizer.json and tokenizer_config.json, by name. A tokenizer that the file carries whole is taken as it is. Merges that
// follow from scores are listed by rank, so that equal scores get an order. Vocabularies of the kind t5 are refused.
func GGUFFiles(name string, value func(key string) any) (map[string][]byte, error) {
	g := &ggufVocabulary{value: func(key string) any { return value("tokenizer.ggml." + key) }}
	config := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false}
	if template, ok := value("tokenizer.chat_template").(string); ok {
		config["chat_template"] = template
	}
	whole, carried := value("tokenizer.huggingface.json").(string)
	if carried {
		return encodeFiles(json.RawMessage(whole), config)
	}
	t, err := g.tokenizer(name)
	if err != nil {
		return nil, fmt.Errorf("%s: metadata %w", name, err)
	}
	file := map[string]any{"version": "1.0", "truncation": nil, "padding": nil, "normalizer": nil, "added_tokens": g.addedJSON(), "post_processor": g.aroundJSON(t)}
	switch kind := g.value("model").(string); kind {
	case "llama":
		g.llamaJSON(file)
	case "gpt2":
		err = g.gpt2JSON(file)
	case "bert":
		g.bertJSON(file)
	default:
		return nil, fmt.Errorf("%s: metadata tokenizer.ggml.model %q: vocabularies of this kind aren't written as tokenizer.json", name, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: metadata %w", name, err)
	}
	special := func(key string, id int32) {
		if id >= 0 {
			config[key] = g.voc.tokens[id]
		}
	}
	special("bos_token", t.bos)
	special("unk_token", g.id("unknown_token_id", -1))
	if len(t.eos) > 0 {
		special("eos_token", t.eos[0])
	}
	special("pad_token", g.id("padding_token_id", -1))
	return encodeFiles(file, config)
}

func encodeFiles(tokenizer, config any) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, x := range map[string]any{"tokenizer.json": tokenizer, "tokenizer_config.json": config} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		if err := e.Encode(x); err != nil {
			return nil, err
		}
		files[name] = b.Bytes()
	}
	return files, nil
}

type anyJSON = map[string]any

// vocabJSON is the ids of all tokens.
func (g *ggufVocabulary) vocabJSON() map[string]int {
	ids := map[string]int{}
	for id, text := range g.voc.tokens {
		ids[text] = id
	}
	return ids
}

// addedJSON is the tokens that are found before all else.
func (g *ggufVocabulary) addedJSON() []anyJSON {
	list := []anyJSON{}
	all := g.ofKind(controlPiece, userPiece, unknownPiece)
	slices.SortFunc(all, func(a, b *addedToken) int { return cmp.Compare(a.id, b.id) })
	for _, a := range all {
		list = append(list, anyJSON{"id": a.id, "content": a.content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": a.special})
	}
	return list
}

// aroundJSON is what stands around a text; nil if nothing does.
func (g *ggufVocabulary) aroundJSON(t *Tokenizer) any {
	if len(t.wrap.before)+len(t.wrap.after) == 0 {
		return nil
	}
	special, single, pair := anyJSON{}, []anyJSON{}, []anyJSON{}
	token := func(id int32, sequence int) anyJSON {
		text := g.voc.tokens[id]
		special[text] = anyJSON{"id": text, "ids": []int32{id}, "tokens": []string{text}}
		return anyJSON{"SpecialToken": anyJSON{"id": text, "type_id": sequence}}
	}
	for n, name := range []string{"A", "B"} {
		var part []anyJSON
		for _, id := range t.wrap.before {
			part = append(part, token(id, n))
		}
		part = append(part, anyJSON{"Sequence": anyJSON{"id": name, "type_id": n}})
		for _, id := range t.wrap.after {
			part = append(part, token(id, n))
		}
		if n == 0 {
			single = part
		}
		pair = append(pair, part...)
	}
	return anyJSON{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}
}

// llamaJSON is BPE over characters whose merges follow from scores.
func (g *ggufVocabulary) llamaJSON(file anyJSON) {
	prefix := g.flag("add_space_prefix", true)
	normal := []anyJSON{{"type": "Replace", "pattern": anyJSON{"String": " "}, "content": spaceMark}}
	decode := []anyJSON{{"type": "Replace", "pattern": anyJSON{"String": spaceMark}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}
	if prefix {
		normal = append([]anyJSON{{"type": "Prepend", "prepend": spaceMark}}, normal...)
		decode = append(decode, anyJSON{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	file["normalizer"] = anyJSON{"type": "Sequence", "normalizers": normal}
	file["pre_tokenizer"] = nil
	file["decoder"] = anyJSON{"type": "Sequence", "decoders": decode}
	var unknown any
	if id := g.id("unknown_token_id", 0); id >= 0 {
		unknown = g.voc.tokens[id]
	}
	file["model"] = anyJSON{"type": "BPE", "dropout": nil, "unk_token": unknown, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
		"fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "vocab": g.vocabJSON(), "merges": g.scoredMerges()}
}

// scoredMerges lists every pair of tokens that makes a third, those with the greatest score first.
func (g *ggufVocabulary) scoredMerges() [][2]string {
	type pair struct{ left, right, whole int32 }
	var all []pair
	for id, text := range g.voc.tokens {
		for i := range text {
			if i == 0 {
				continue
			}
			left, ok1 := g.voc.ids[text[:i]]
			right, ok2 := g.voc.ids[text[i:]]
			if ok1 && ok2 {
				all = append(all, pair{left, right, int32(id)})
			}
		}
	}
	slices.SortFunc(all, func(a, b pair) int {
		return cmp.Or(cmp.Compare(g.scores[b.whole], g.scores[a.whole]), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
	})
	out := make([][2]string, len(all))
	for i, p := range all {
		out[i] = [2]string{g.voc.tokens[p.left], g.voc.tokens[p.right]}
	}
	return out
}

// gpt2JSON is BPE of bytes.
func (g *ggufVocabulary) gpt2JSON(file anyJSON) error {
	pre, ok := g.value("pre").(string)
	if !ok {
		pre = "default"
	}
	r, err := recipeOf("gguf", pre)
	if err != nil {
		return err
	}
	var cuts []anyJSON
	for _, regex := range r.Split {
		cuts = append(cuts, anyJSON{"type": "Split", "pattern": anyJSON{"Regex": regex}, "behavior": "Isolated", "invert": false})
	}
	cuts = append(cuts, anyJSON{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false})
	merges := [][2]string{}
	for _, line := range list[string](g, "merges") {
		left, right, _ := cutMerge(line)
		merges = append(merges, [2]string{left, right})
	}
	file["pre_tokenizer"] = anyJSON{"type": "Sequence", "pretokenizers": cuts}
	file["decoder"] = anyJSON{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}
	file["model"] = anyJSON{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
		"fuse_unk": false, "byte_fallback": false, "ignore_merges": r.Whole, "vocab": g.vocabJSON(), "merges": merges}
	return g.err
}

// bertJSON is WordPiece.
func (g *ggufVocabulary) bertJSON(file anyJSON) {
	lower := g.flag("normalizer.lowercase", true)
	file["normalizer"] = anyJSON{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
		"strip_accents": g.flag("normalizer.strip_accents", lower), "lowercase": lower}
	file["pre_tokenizer"] = anyJSON{"type": "BertPreTokenizer"}
	file["decoder"] = anyJSON{"type": "WordPiece", "prefix": "##", "cleanup": true}
	unknown := "[UNK]"
	if id := g.id("unknown_token_id", 100); id >= 0 {
		unknown = g.voc.tokens[id]
	}
	file["model"] = anyJSON{"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": g.vocabJSON()}
}
