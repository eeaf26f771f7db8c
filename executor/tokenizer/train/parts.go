package train

import (
	"slices"
	"strings"
)

// parts are the fields of a tokenizer.json around the model, each a JSON value.
type parts struct {
	normalizer, preTokenizer, postProcessor, decoder string
}

func partsOf(a *Attr) parts {
	return parts{
		normalizer:    chain(rows(normalizers(), a.Normalizers), "normalizers"),
		preTokenizer:  chain(preTokenizersOf(a), "pretokenizers"),
		postProcessor: postProcessorOf(a),
		decoder:       decoderOf(a),
	}
}

// chain is null, the one item, or a Sequence of items under the field's name.
func chain(items []string, field string) string {
	switch len(items) {
	case 0:
		return "null"
	case 1:
		return items[0]
	}
	return `{"type":"Sequence","` + field + `":[` + strings.Join(items, ",") + `]}`
}

func rows(table []named[string], chosen []string) []string {
	var all []string
	for _, name := range chosen {
		i := slices.IndexFunc(table, func(n named[string]) bool { return n.name == name })
		all = append(all, table[i].row)
	}
	return all
}

func normalizers() []named[string] {
	return []named[string]{
		{"bert", `{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}`},
		{"lowercase", `{"type":"Lowercase"}`},
		{"nfc", `{"type":"NFC"}`},
		{"nfd", `{"type":"NFD"}`},
		{"nfkc", `{"type":"NFKC"}`},
		{"nfkd", `{"type":"NFKD"}`},
		{"strip", `{"type":"Strip","strip_left":true,"strip_right":true}`},
		{"strip_accents", `{"type":"StripAccents"}`},
	}
}

// splits are the pre-tokenizers of the values of split; those of auto and none depend on the other attributes.
func splits() []named[string] {
	return []named[string]{
		{"auto", ""},
		{"bert", `{"type":"BertPreTokenizer"}`},
		{"metaspace", ""},
		{"none", ""},
		{"whitespace", `{"type":"Whitespace"}`},
		{"whitespace_split", `{"type":"WhitespaceSplit"}`},
	}
}

// splitOf is split with auto resolved; with byte_level, auto stays: it is the pattern that byte level has built in.
func splitOf(a *Attr) string {
	switch {
	case a.Split != "auto":
		return a.Split
	case a.Pattern != "":
		return "none"
	case a.ByteLevel:
		return "auto"
	case a.Kind == "wordpiece":
		return "bert"
	}
	return "metaspace"
}

func preTokenizersOf(a *Attr) []string {
	var all []string
	if a.Pattern != "" {
		all = append(all, `{"type":"Split","pattern":{"Regex":`+quote(a.Pattern)+`},"behavior":"Isolated","invert":false}`)
	}
	split := splitOf(a)
	if split == "metaspace" {
		all = append(all, metaspace(a))
	} else if p := rows(splits(), []string{split})[0]; p != "" {
		all = append(all, p)
	}
	if a.Digits {
		all = append(all, `{"type":"Digits","individual_digits":true}`)
	}
	if a.ByteLevel {
		all = append(all, byteLevel(a.PrefixSpace == "always", split == "auto"))
	}
	return all
}

func metaspace(a *Attr) string {
	scheme := a.PrefixSpace
	if scheme == "auto" {
		scheme = "always"
	}
	return `{"type":"Metaspace","replacement":"▁","prepend_scheme":` + quote(scheme) + `,"split":true}`
}

func byteLevel(space, pattern bool) string {
	return `{"type":"ByteLevel","add_prefix_space":` + truth(space) + `,"trim_offsets":true,"use_regex":` + truth(pattern) + `}`
}

func truth(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func decoderOf(a *Attr) string {
	split := splitOf(a)
	var all []string
	switch {
	case a.ByteLevel:
		return byteLevel(true, true)
	case a.Prefix != "":
		return `{"type":"WordPiece","prefix":` + quote(a.Prefix) + `,"cleanup":true}`
	case a.Suffix != "":
		return `{"type":"BPEDecoder","suffix":` + quote(a.Suffix) + `}`
	case split == "metaspace":
		all = append(all, metaspace(a))
	}
	if a.ByteFallback {
		all = append(all, `{"type":"ByteFallback"}`)
	}
	if split == "none" {
		all = append(all, `{"type":"Fuse"}`)
	}
	return chain(all, "decoders")
}

// postProcessorOf puts the tokens that begin and end a text around it; between two texts stands the one that ends.
func postProcessorOf(a *Attr) string {
	if a.BeginToken == "" && a.EndToken == "" {
		return "null"
	}
	special := func(token, kind string) string {
		return `{"SpecialToken":{"id":` + quote(token) + `,"type_id":` + kind + `}}`
	}
	text := func(id, kind string) string { return `{"Sequence":{"id":"` + id + `","type_id":` + kind + `}}` }
	var single, pair []string
	if a.BeginToken != "" {
		single = append(single, special(a.BeginToken, "0"))
	}
	single = append(single, text("A", "0"))
	if a.EndToken != "" {
		single = append(single, special(a.EndToken, "0"))
	}
	pair = append(slices.Clone(single), text("B", "1"))
	if a.EndToken != "" {
		pair = append(pair, special(a.EndToken, "1"))
	}
	var tokens []string
	ends := []string{a.BeginToken, a.EndToken}
	slices.Sort(ends)
	for _, t := range slices.Compact(ends) {
		if t != "" {
			id := number(slices.Index(a.SpecialTokens, t))
			tokens = append(tokens, quote(t)+`:{"id":`+quote(t)+`,"ids":[`+id+`],"tokens":[`+quote(t)+`]}`)
		}
	}
	return `{"type":"TemplateProcessing","single":[` + strings.Join(single, ",") + `],"pair":[` + strings.Join(pair, ",") +
		`],"special_tokens":{` + strings.Join(tokens, ",") + `}}`
}
