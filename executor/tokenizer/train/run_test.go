package train

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/tokenizer"
)

// TestDefaults holds Defaults against the defaults of the tags.
func TestDefaults(t *testing.T) {
	fields, err := attr.Fields(Attr{})
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	for _, f := range fields {
		_, fallback := f.Describe()
		if fallback == "must be given" {
			t.Errorf("%s has no default", f.Name)
		}
		var v any = strings.Trim(fallback, "`")
		switch s := v.(string); {
		case s == "[]":
			v = []any{}
		case s == "true", s == "false":
			v = s == "true"
		case strings.HasPrefix(s, `"`):
			v = strings.Trim(s, `"`)
		default:
			continue // numbers follow
		}
		m[f.Name] = v
	}
	a, err := attr.Decode(Defaults(), m)
	if err != nil {
		t.Fatal(err)
	}
	got, want := a.(Attr), Defaults()
	if got.Kind != want.Kind || got.Split != want.Split || got.PrefixSpace != want.PrefixSpace || got.ByteLevel || got.ByteFallback || got.Digits || got.FuseUnknown {
		t.Errorf("%+v, want %+v", got, want)
	}
	for name, n := range map[string]string{"vocab_size": "8000", "seed_size": "1000000", "shrinking_factor": "0.75", "max_piece_length": "16", "sub_iterations": "2"} {
		i := slices.IndexFunc(fields, func(f attr.Field) bool { return f.Name == name })
		if _, fallback := fields[i].Describe(); fallback != "`"+n+"`" {
			t.Errorf("%s defaults to %s, want %s", name, fallback, n)
		}
	}
}

// kindsOf are attributes of every kind of training.
func kindsOf() map[string]Attr {
	bpe := Defaults()
	bpe.VocabSize, bpe.ByteLevel = 600, true
	marked := Defaults()
	marked.VocabSize, marked.Prefix, marked.Suffix, marked.Split, marked.LimitAlphabet = 500, "##", "</w>", "whitespace", 70
	piece := Defaults()
	piece.Kind, piece.VocabSize, piece.SpecialTokens, piece.UnknownToken = "wordpiece", 700, []string{"[UNK]"}, "[UNK]"
	uni := Defaults()
	uni.Kind, uni.VocabSize, uni.SpecialTokens, uni.UnknownToken = "unigram", 600, []string{"<s>", "<unk>"}, "<unk>"
	return map[string]Attr{"bpe": bpe, "marked": marked, "wordpiece": piece, "unigram": uni}
}

// TestThreads trains on different numbers of goroutines, and on texts in another order.
func TestThreads(t *testing.T) {
	texts := readTrained(t).Texts
	for len(strings.Join(texts, "")) < 8*batchBytes {
		texts = append(texts, texts...)
	}
	turned := slices.Clone(texts)
	slices.Reverse(turned)
	for name, a := range kindsOf() {
		t.Run(name, func(t *testing.T) {
			want, err := runThreads(a, each(texts), nil, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, threads := range []int{2, 3, 8} {
				got, err := runThreads(a, each(texts), nil, threads)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%d goroutines give another tokenizer", threads)
				}
			}
			if got, err := runThreads(a, each(turned), nil, 2); err != nil || !bytes.Equal(got, want) {
				t.Errorf("texts in another order give another tokenizer, or %v", err)
			}
		})
	}
}

// TestRoundTrip encodes and decodes texts by what was trained without loss.
func TestRoundTrip(t *testing.T) {
	all := readTrained(t)
	fallback := Defaults()
	fallback.VocabSize, fallback.SpecialTokens, fallback.UnknownToken, fallback.ByteFallback = 700, []string{"<unk>"}, "<unk>", true
	uni := fallback
	uni.Kind = "unigram"
	level := uni
	level.ByteFallback, level.ByteLevel = false, true
	for name, a := range map[string]Attr{"byte level": kindsOf()["bpe"], "byte fallback": fallback, "unigram": uni, "unigram, byte level": level} {
		file, err := Run(a, each(all.Texts), nil)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Parse(name, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range append(all.Held, "never seen: \u0f00 \U0001F999\U0001F998") {
			if strings.Contains(text, "▁") && !a.ByteLevel {
				continue // metaspace cannot tell it from a space
			}
			ids, err := tok.Encode(nil, text, true)
			if err != nil {
				t.Fatal(err)
			}
			back, err := tok.Decode(ids, true)
			if err != nil {
				t.Fatal(err)
			}
			if back != text {
				t.Fatalf("%s: %q comes back as %q", name, text, back)
			}
		}
	}
}

func TestProgress(t *testing.T) {
	texts := readTrained(t).Texts
	for name, a := range kindsOf() {
		last := map[string][2]int64{}
		_, err := Run(a, each(texts), func(stage string, done, total int64) error {
			if done < last[stage][0] || total > 0 && done > total {
				t.Errorf("%s: %s: %d of %d after %d", name, stage, done, total, last[stage][0])
			}
			last[stage] = [2]int64{done, total}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(len(strings.Join(texts, ""))); last["words"][0] != want {
			t.Errorf("%s: %d bytes of text, want %d", name, last["words"][0], want)
		}
		delete(last, "words")
		if len(last) != 1 {
			t.Errorf("%s: stages %v", name, last)
		}
		for stage, x := range last {
			if x[0] != x[1] || x[0] == 0 {
				t.Errorf("%s: %s ends with %d of %d", name, stage, x[0], x[1])
			}
		}
	}
}

// TestProgressEnds ends the training by the error of each stage.
func TestProgressEnds(t *testing.T) {
	texts := readTrained(t).Texts
	enough := errors.New("enough")
	for name, a := range kindsOf() {
		var stages []string
		if _, err := Run(a, each(texts), func(stage string, _, _ int64) error {
			stages = append(stages, stage)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(stages)
		for _, end := range slices.Compact(stages) {
			file, err := Run(a, each(texts), func(stage string, _, _ int64) error {
				if stage == end {
					return enough
				}
				return nil
			})
			if file != nil || err != enough {
				t.Errorf("%s, %s: %d bytes, %v", name, end, len(file), err)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	set := func(f func(*Attr)) Attr {
		a := Defaults()
		f(&a)
		return a
	}
	some := []string{"the cat", "sat on", "the mat"}
	failing := func(yield func(string, error) bool) {
		_ = yield("abc", nil) && yield("", errors.New("disk on fire"))
	}
	for _, c := range []struct {
		attr  Attr
		texts iter.Seq2[string, error]
		want  string
	}{
		{Defaults(), each(nil), "the texts have no words to train on"},
		{Defaults(), each([]string{"", ""}), "the texts have no words to train on"},
		{Defaults(), each([]string{"ab", "cd\xff", "\xfe"}), "text 1: not UTF-8 at byte 2"},
		{Defaults(), failing, "disk on fire"},
		{set(func(a *Attr) { a.Kind = "wordpeice" }), each(some), `kind: "wordpeice" is not known, did you mean wordpiece?; known are bpe, wordpiece, unigram`},
		{set(func(a *Attr) { a.SpecialTokens = []string{"<s>", "<u>", "<s>"} }), each(some), `special_tokens: "<s>" comes twice`},
		{set(func(a *Attr) { a.SpecialTokens = []string{""} }), each(some), `special_tokens: a token is empty`},
		{set(func(a *Attr) { a.UnknownToken = "<unk>" }), each(some), `unk_token: "<unk>" is not among special_tokens`},
		{set(func(a *Attr) { a.BeginToken = "<s>" }), each(some), `bos_token: "<s>" is not among special_tokens`},
		{set(func(a *Attr) { a.Kind = "unigram" }), each(some), `unk_token: unigram needs one, among special_tokens, unless byte_level is set`},
		{set(func(a *Attr) { a.SpecialTokens, a.ByteFallback = []string{"<0x0A>"}, true }), each(some), `special_tokens: "<0x0A>" is also a token of byte_fallback`},
		{set(func(a *Attr) { a.ByteFallback, a.ByteLevel = true, true }), each(some), `byte_fallback: byte_level leaves nothing to fall back from`},
		{set(func(a *Attr) { a.Normalizers = []string{"nfe"} }), each(some), `normalizers: "nfe" is not known, did you mean nfc?; known are bert, lowercase, nfc, nfd, nfkc, nfkd, strip, strip_accents`},
		{set(func(a *Attr) { a.ShrinkingFactor = 1 }), each(some), `shrinking_factor is 1, want more than 0 and less than 1`},
		{set(func(a *Attr) { a.Pattern = "(" }), each(some), "pattern: bad pattern: error parsing regexp: missing closing ) in `(`"},
		{set(func(a *Attr) {
			a.Suffix, a.Kind = "</w>", "wordpiece"
			a.SpecialTokens, a.UnknownToken = []string{"?"}, "?"
		}), each(some), `end_of_word_suffix: wordpiece has none`},
	} {
		_, err := Run(c.attr, c.texts, nil)
		if err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestLeastVocabulary follows the error's advice.
func TestLeastVocabulary(t *testing.T) {
	texts := each([]string{"the cat sat on", "the mat"})
	for _, c := range []struct {
		kind, want string
		least      int
	}{
		{"bpe", "vocab_size is 5, want 11 at least: 1 special, 10 characters", 11},
		{"wordpiece", "vocab_size is 5, want 15 at least: 1 special, 9 characters, 5 marked characters", 15},
		{"unigram", "vocab_size is 5, want 11 at least: 1 special, 10 characters", 11},
	} {
		a := Defaults()
		a.Kind, a.VocabSize, a.SpecialTokens, a.UnknownToken = c.kind, 5, []string{"?"}, "?"
		if _, err := Run(a, texts, nil); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
		a.VocabSize = c.least
		if _, err := Run(a, texts, nil); err != nil {
			t.Error(err)
		}
	}
}
