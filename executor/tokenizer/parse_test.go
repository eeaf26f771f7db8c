package tokenizer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tiny is a tokenizer.json that errors are made of.
const tiny = `{
 "added_tokens": [{"id": 3, "content": "<s>", "special": true}],
 "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
 "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "Isolated", "invert": false},
 "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
  "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]}}},
 "decoder": {"type": "Fuse"},
 "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": {"a": 0, "b": 1, "ab": 2},
  "merges": ["a b"]}
}`

// parseErrors are changes of tiny, a text for another, and the errors that they give.
func parseErrors() []struct{ old, new, want string } {
	return []struct{ old, new, want string }{
		{tiny, ``, `t.json:1:1: unexpected end of the document`},
		{tiny, `[]`, `t.json:1:1: is an array, want an object`},
		{tiny, strings.Repeat("[", 100), `t.json:1:66: nested deeper than 64 levels`},
		{tiny, "{\"model\": {}}\xff", `t.json:1:14: not UTF-8`},
		{`"merges": ["a b"]`, `"merges": ["a b"`, `t.json:9:19: want ',' or ']'`},
		{`"NFC"`, `"NFX"`, `t.json:3:62: normalizer.normalizers[0].type: "NFX" is not known, did you mean "NFC"; known are BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip, StripAccents`},
		{`"Split"`, `"Splitt"`, `t.json:4:28: pre_tokenizer.type: "Splitt" is not known, did you mean "Split"; known are BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, Metaspace, Punctuation, Sequence, Split, UnicodeScripts, Whitespace, WhitespaceSplit`},
		{`"Fuse"`, `"Foo"`, `t.json:7:22: decoder.type: "Foo" is not known; known are BPEDecoder, ByteFallback, ByteLevel, CTC, Fuse, Metaspace, Replace, Sequence, Strip, WordPiece`},
		{`"BPE"`, `"Unigrm"`, `t.json:8:20: model.type: "Unigrm" is not known, did you mean "Unigram"; known are BPE, Unigram, WordLevel, WordPiece`},
		{`"BPE"`, `"Unigram"`, `t.json:8:76: model.vocab: is an object, want an array`},
		{`"Isolated"`, `"isolated"`, `t.json:4:77: pre_tokenizer.behavior: "isolated" is not known, did you mean "Isolated"; known are [Removed Isolated MergedWithPrevious MergedWithNext Contiguous]`},
		{`{"String": " "}`, `{"Regex": "("}`, "t.json:4:58: pre_tokenizer.pattern.Regex: bad pattern: error parsing regexp: missing closing ) in `(`"},
		{`{"String": " "}`, `{"String": ""}`, `t.json:4:59: pre_tokenizer.pattern.String: is empty`},
		{`"b": 1`, `"b": 0`, `t.json:8:72: model.vocab: tokens "a" and "b" share id 0`},
		{`"b": 1`, `"a": 1`, `t.json:8:72: model.vocab: token "a" has two entries, ids 0 and 1`},
		{`"b": 1`, `"b": -1`, `t.json:8:86: model.vocab.b: is -1, want a whole number from 0 to 2147483647`},
		{`"b": 1`, `"b": 1.5`, `t.json:8:86: model.vocab.b: is 1.5, want a whole number from 0 to 2147483647`},
		{`"b": 1`, `"b": 99999999`, `t.json:8:86: model.vocab.b: id 99999999 is beyond the largest allowed, 16777215`},
		{`"b": 1`, `"b": 9999999`, `t.json:8:72: model.vocab: id 9999999 is absurd for a vocabulary of 3 tokens`},
		{`"b": 1`, `"b": "1"`, `t.json:8:86: model.vocab.b: is a string, want a whole number`},
		{`{"type": "NFC"}`, `{"type": "Precompiled", "precompiled_charsmap": "?"}`, `t.json:3:101: normalizer.normalizers[0].precompiled_charsmap: is not base64: illegal base64 data at input byte 0`},
		{`{"type": "NFC"}`, `{"type": "Precompiled", "precompiled_charsmap": "AAA="}`, `t.json:3:101: normalizer.normalizers[0].precompiled_charsmap: has 2 bytes, want 8 at least`},
		{`{"type": "NFC"}`, `{"type": "Precompiled", "precompiled_charsmap": "CQAAAAAAAAAA"}`, `t.json:3:101: normalizer.normalizers[0].precompiled_charsmap: has a trie of 9 bytes, want 4 to 5`},
		{`{"type": "NFC"}`, `{"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAD/"}`, `t.json:3:101: normalizer.normalizers[0].precompiled_charsmap: has replacements that are not UTF-8`},
		{`["a b"]`, `["a c"]`, `t.json:9:14: model.merges[0]: "c" is not in the vocabulary`},
		{`["a b"]`, `["a b", ["b", "a"]]`, `t.json:9:21: model.merges[1]: the merge of "b" and "a" is not in the vocabulary`},
		{`["a b"]`, `["a  b"]`, `t.json:9:14: model.merges[0]: is "a  b", want two tokens with one space between`},
		{`["a b"]`, `[["a"]]`, `t.json:9:14: model.merges[0]: has 1 parts, want 2`},
		{`"dropout": null`, `"dropout": 0.1`, `t.json:8:38: model.dropout: is 0.1, want null: merges are never dropped at random here`},
		{`"unk_token": null`, `"unk_token": "?"`, `t.json:8:57: model.unk_token: "?" is not in the vocabulary`},
		{`"vocab"`, `"vocabulary"`, `t.json:8:11: model: has no "vocab"`},
		{`"id": 3, "content"`, `"id": 1, "content"`, `t.json:2:18: added_tokens: tokens "b" and "<s>" share id 1`},
		{`"content": "<s>"`, `"content": "ab"`, `t.json:2:18: added_tokens: token "ab" has id 3 here and 2 in the vocabulary`},
		{`"ids": [3]`, `"ids": [4]`, `t.json:5:20: post_processor: id 4 is not in the vocabulary`},
		{`{"Sequence": {"id": "A"}}`, `{"SpecialToken": {"id": "<x>"}}`, `t.json:5:112: post_processor.single[1].SpecialToken: "<x>" is not among special_tokens`},
		{`, {"Sequence": {"id": "A"}}`, ``, `t.json:5:61: post_processor.single: has the text 0 times, want once`},
		{`"special": true`, `"special": 1`, `t.json:2:58: added_tokens[0].special: is a number, want true or false`},
		{`"a b"`, `"\ud800 b"`, `t.json:9:14: model.merges[0]: has half of a surrogate pair`},
		{tiny, `[01]`, `t.json:1:2: bad number "01"`},
		{tiny, `[-]`, `t.json:1:2: bad number "-"`},
		{tiny, `[1e]`, `t.json:1:2: bad number "1e"`},
		{tiny, `[1.5e3, -0.1, 0] x`, `t.json:1:18: text after the end of the document`},
		{tiny, `{"version": "2.0"}`, `t.json:1:13: version: is "2.0", want "1.0"`},
		{`"type": "BPE"`, `"type": "BPE", "type": "BPE"`, `t.json:8:35: model.type: comes twice`},
	}
}

func TestParseErrors(t *testing.T) {
	if _, err := Parse("t.json", []byte(tiny)); err != nil {
		t.Fatal(err)
	}
	for _, c := range parseErrors() {
		_, err := Parse("t.json", []byte(strings.Replace(tiny, c.old, c.new, 1)))
		if err == nil || err.Error() != c.want {
			t.Errorf("%.40q for %.40q:\n%v, want\n%v", c.new, c.old, err, c.want)
		}
	}
}

func TestOpen(t *testing.T) {
	small := filepath.Join("testdata", "small")
	for _, path := range []string{small, filepath.Join(small, "tokenizer.json")} {
		tok, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if bos, ok := tok.BOS(); !ok || bos != 1 {
			t.Errorf("BOS %d %v, want 1", bos, ok)
		}
		if want := []int32{2, 7, 8}; !slices.Equal(tok.EOS(), want) {
			t.Errorf("EOS %v, want %v", tok.EOS(), want)
		}
		id, ok := tok.ID("</s>")
		token, back := tok.Token(id)
		if !ok || !back || token != "</s>" || !tok.IsSpecial(id) || tok.IsSpecial(id+1) {
			t.Errorf("</s> is %d %v, %q %v", id, ok, token, back)
		}
		if _, ok := tok.Token(int32(tok.Size())); ok {
			t.Error("there is a token beyond the size")
		}
		if _, ok := tok.Token(int32(tok.Size() - 1)); !ok {
			t.Error("there is no largest token")
		}
	}
	if _, err := Open(filepath.Join("testdata", "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a missing folder gives %v", err)
	}
}

func TestOpenSideErrors(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"tokenizer_config.json", `{"eos_token": "<e>"}`, `:1:15: eos_token: "<e>" is not in the vocabulary of `},
		{"tokenizer_config.json", `{"bos_token": 3}`, `:1:15: bos_token: is a number, want a string`},
		{"generation_config.json", `{"eos_token_id": [1, -2]}`, `:1:22: eos_token_id[1]: is -2, want a whole number`},
		{"config.json", `{"eos_token_id": }`, `:1:18: unexpected '}', want a value`},
	} {
		dir := t.TempDir()
		for name, content := range map[string]string{"tokenizer.json": tiny, c.name: c.content} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want := filepath.Join(dir, c.name) + c.want
		if _, err := Open(dir); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestBadInput(t *testing.T) {
	tok, err := Parse("t.json", []byte(tiny))
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := tok.Encode([]int32{7}, "ab\xffa", true); err == nil || err.Error() != "text is not UTF-8 at byte 2" || !slices.Equal(ids, []int32{7}) {
		t.Errorf("%v %v", ids, err)
	}
	for _, id := range []int32{-1, 4, 1 << 30} {
		want := fmt.Sprintf("t.json: id %d is not in the vocabulary of 4", id)
		if _, err := tok.Decode([]int32{0, id}, false); err == nil || err.Error() != want+" (at 1 of 2)" {
			t.Errorf("%v, want %s", err, want)
		}
		if _, err := tok.Stream(false).Push(id); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// FuzzParse looks for files that make the parser, or a tokenizer that it accepts, panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(tiny), "a b ab")
	for _, name := range []string{"tokenizer.json", "config.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", "small", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "the cat \u4E16<s>")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		tok, err := Parse("fuzz", data)
		fuzzed(t, tok, err, 4*len(data), text)
	})
}
