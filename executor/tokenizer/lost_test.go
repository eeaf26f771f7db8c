package tokenizer

import (
	"fmt"
	"testing"
)

// TestLost checks which characters a text is said to lose: those that decoding
// its ids does not give back.
func TestLost(t *testing.T) {
	file := func(model string) string {
		return fmt.Sprintf(`{"version": "1.0", "decoder": {"type": "Fuse"}, "model": {"type": "BPE", "merges": [], %s}}`, model)
	}
	const text = "aäbßä c"
	for name, c := range map[string]struct{ file, want, left string }{
		"characters":    {file(`"vocab": {"a": 0, "b": 1, " ": 2}`), "äßc", "ab "},
		"with unknown":  {file(`"unk_token": "?", "vocab": {"a": 0, "b": 1, "?": 2}`), "", "a?b????"},
		"word by word":  {`{"version": "1.0", "pre_tokenizer": {"type": "Whitespace"}, "model": {"type": "BPE", "merges": [], "vocab": {"a": 0, "b": 1, "c": 2}}}`, "äß", "a b c"},
		"other accents": {`{"version": "1.0", "normalizer": {"type": "Lowercase"}, "decoder": {"type": "Fuse"}, "model": {"type": "BPE", "merges": [], "vocab": {"a": 0, "b": 1, "c": 2, "ä": 3, " ": 4}}}`, "ß", "aäbä c"},
	} {
		p, err := Parse(name, []byte(c.file))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(p.Lost(text)); got != c.want {
			t.Errorf("%s: lost are %q, want %q", name, got, c.want)
		}
		ids, err := p.Encode(nil, text, false)
		if err != nil {
			t.Fatal(err)
		}
		if left, err := p.Decode(ids, false); left != c.left || err != nil {
			t.Errorf("%s: %q is left, want %q, %v", name, left, c.left, err)
		}
	}
}
