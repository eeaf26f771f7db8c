package train

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// encode is the tokenizer.json, without spaces, its fields in the order of the Rust library. A nil model gives one
// without tokens, whose normalizer and pre-tokenizer can be used.
func (p parts) encode(a *Attr, m *model) []byte {
	b := []byte(`{"version":"1.0","truncation":null,"padding":null,"added_tokens":[`)
	if m != nil {
		for id, token := range a.SpecialTokens {
			b = comma(b, id)
			b = append(b, `{"id":`+number(id)+`,"content":`...)
			b = appendQuoted(b, token)
			b = append(b, `,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}`...)
		}
	}
	b = append(b, `],"normalizer":`+p.normalizer+`,"pre_tokenizer":`+p.preTokenizer...)
	if m == nil {
		return append(b, `,"model":{"type":"BPE","vocab":{},"merges":[]}}`...)
	}
	b = append(b, `,"post_processor":`+p.postProcessor+`,"decoder":`+p.decoder+`,"model":`...)
	switch a.Kind {
	case "bpe":
		b = appendBPE(b, a, m)
	case "wordpiece":
		b = append(b, `{"type":"WordPiece","unk_token":`+quote(cmp.Or(a.UnknownToken, "[UNK]"))+`,"continuing_subword_prefix":`+quote(a.Prefix)+
			`,"max_input_chars_per_word":100,"vocab":`...)
		b = append(appendVocabulary(b, m.tokens), '}')
	case "unigram":
		b = appendUnigram(b, a, m)
	}
	return append(b, '}')
}

func appendBPE(b []byte, a *Attr, m *model) []byte {
	b = append(b, `{"type":"BPE","dropout":null,"unk_token":`+orNull(a.UnknownToken)+`,"continuing_subword_prefix":`+orNull(a.Prefix)+
		`,"end_of_word_suffix":`+orNull(a.Suffix)+`,"fuse_unk":`+truth(a.FuseUnknown)+`,"byte_fallback":`+truth(a.ByteFallback)+
		`,"ignore_merges":false,"vocab":`...)
	b = appendVocabulary(b, m.tokens)
	b = append(b, `,"merges":[`...)
	for i, pair := range m.merges {
		b = append(comma(b, i), '[')
		b = append(appendQuoted(b, m.tokens[pair[0]]), ',')
		b = append(appendQuoted(b, m.tokens[pair[1]]), ']')
	}
	return append(b, `]}`...)
}

func appendUnigram(b []byte, a *Attr, m *model) []byte {
	unknown := "null"
	if a.UnknownToken != "" {
		unknown = number(slices.Index(m.tokens, a.UnknownToken))
	}
	b = append(b, `{"type":"Unigram","unk_id":`+unknown+`,"vocab":[`...)
	for i, token := range m.tokens {
		b = append(comma(b, i), '[')
		b = append(appendQuoted(b, token), ',')
		b = append(appendFloat(b, m.scores[i]), ']')
	}
	return append(b, `],"byte_fallback":`+truth(a.ByteFallback)+`}`...)
}

func appendVocabulary(b []byte, tokens []string) []byte {
	b = append(b, '{')
	for id, token := range tokens {
		b = append(appendQuoted(comma(b, id), token), ':')
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return append(b, '}')
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

func number(n int) string { return strconv.Itoa(n) }

func quote(s string) string { return string(appendQuoted(nil, s)) }

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return quote(s)
}

// appendQuoted appends a JSON string (RFC 8259), escaping only what must be.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' || c >= utf8.RuneSelf {
			b = append(b, c)
			continue
		}
		b = append(b, '\\')
		if at := strings.IndexByte("\"\\\b\f\n\r\t", c); at >= 0 {
			b = append(b, `"\bfnrt`[at])
		} else {
			const hex = "0123456789abcdef"
			b = append(b, 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(b, '"')
}

// appendFloat appends the shortest number that is read back as x, with a point or an exponent.
func appendFloat(b []byte, x float64) []byte {
	start := len(b)
	b = strconv.AppendFloat(b, x, 'f', -1, 64)
	if !slices.Contains(b[start:], '.') {
		b = append(b, '.', '0')
	}
	return b
}
