package tokenizer

import (
	"strings"
	"testing"
)

// cutting is a tokenizer of letters that cuts.
func cutting(t *testing.T, truncation string) *Tokenizer {
	t.Helper()
	tok, err := Parse("t.json", []byte(`{"truncation": `+truncation+`, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated"},
		"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"}}`))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// Every token of a text is in a piece, each piece shares the stride with the one before, and none is kept unless asked for.
func TestOverflow(t *testing.T) {
	text := strings.Repeat("ab", 50) + "a"
	for _, direction := range []string{"Right", "Left"} {
		tok := cutting(t, `{"max_length": 7, "stride": 3, "strategy": "LongestFirst", "direction": "`+direction+`"}`)
		e, err := tok.EncodeFull(text, EncodeOptions{Overflow: true})
		if err != nil || len(e.IDs) != 7 {
			t.Fatal(e, err)
		}
		seen := map[int]bool{}
		for i, p := range append([]*Encoding{e}, e.Overflow...) {
			for _, s := range p.Offsets {
				seen[s.Start] = true
			}
			if i > 0 && len(p.IDs) <= 3 {
				t.Errorf("%s: piece %d has %d tokens, none of its own", direction, i, len(p.IDs))
			}
		}
		if len(seen) != 101 {
			t.Errorf("%s: %d of 101 tokens are in a piece", direction, len(seen))
		}
		if e, err := tok.EncodeFull(text, EncodeOptions{}); err != nil || e.Overflow != nil {
			t.Errorf("%d pieces that nobody asked for, %v", len(e.Overflow), err)
		}
	}
}

// What would be too much is refused, before any of it is made.
func TestOverflowTooMuch(t *testing.T) {
	long := strings.Repeat("ab", 40_000)
	for _, c := range []struct {
		pair *string
		max  string
		want string
	}{
		{&long, `{"max_length": 8, "stride": 2, "strategy": "LongestFirst"}`, "pieces, more than 65536"},
		{nil, `{"max_length": 2, "stride": 1, "strategy": "LongestFirst"}`, "pieces, more than 65536"},
		{&long, `{"max_length": 8, "stride": 5, "strategy": "LongestFirst"}`, "truncation.stride is 5, want less than the 4 tokens"},
	} {
		tok := cutting(t, c.max)
		if _, err := tok.EncodeFull(long, EncodeOptions{Pair: c.pair, Overflow: true}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if _, err := tok.EncodeFull(long, EncodeOptions{Pair: c.pair}); err != nil {
			t.Error(err)
		}
	}
}
