package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// checkScan holds every scanner against regexp2 on its own pattern.
func checkScan(t *testing.T, c *classes, oracles map[string]regex, text string) {
	t.Helper()
	for source, scan := range scanners() {
		spans, err := oracles[source].spans(nil, text)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for _, s := range spans {
			if !s.match {
				t.Fatalf("%q leaves %q of %q", source, text[s.start:s.end], text)
			}
			n := scan(c, text[at:])
			if at != s.start || at+n != s.end {
				t.Fatalf("%q\n%+q\nis scanned %+q, matched %+q", source, text, text[at:at+n], text[s.start:s.end])
			}
			at += n
		}
		if at != len(text) {
			t.Fatalf("%q is scanned to %d of %d", text, at, len(text))
		}
	}
	for source, p := range map[string]pattern{`\p{N}`: upTo{number, 1}, `\p{N}{1,3}`: upTo{number, 3}, `\s+`: upTo{blank, 1 << 62}} {
		got, _ := p.spans(nil, text)
		want, err := oracles[source].spans(nil, text)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s in %q: %v, want %v, %v", source, text, got, want, err)
		}
	}
}

func scanOracles(t testing.TB) map[string]regex {
	oracles := map[string]regex{}
	for source := range scanners() {
		re, err := newRegex(source)
		if err != nil {
			t.Fatal(err)
		}
		oracles[source] = re
	}
	for _, source := range []string{`\p{N}`, `\p{N}{1,3}`, `\s+`} {
		re, err := newRegex(source)
		if err != nil {
			t.Fatal(err)
		}
		oracles[source] = re
	}
	return oracles
}

func TestScanRandom(t *testing.T) {
	c, oracles := newClasses(), scanOracles(t)
	rng := rand.New(rand.NewPCG(1, 2))
	pool := []rune("aZ'sStTrReEvVmMlLdD\u017F 09\u00B2\u0664\u4E00\u0301\u00A0\u3000\u2028\u0085\t\r\n\r\n   .,!\u2019-\U0001F600\U0001D518\u00E9\u212A\u01C5\u02B0\u05D0\u0939\u093EBcD\u0130/\u200D\u1680\uFEFF")
	for range 20000 {
		text := make([]rune, 1+rng.IntN(12))
		for i := range text {
			if rng.IntN(12) == 0 {
				text[i] = rune(rng.IntN(0x30000))
			} else {
				text[i] = pool[rng.IntN(len(pool))]
			}
		}
		checkScan(t, c, oracles, string(text)) // surrogates become U+FFFD
	}
}

// TestClasses holds the table of classes against the patterns for every character.
func TestClasses(t *testing.T) {
	c := newClasses()
	for as, source := range map[class]string{letter: `\p{L}`, number: `\p{N}`, blank: `\s`} {
		re, err := newRegex(source)
		if err != nil {
			t.Fatal(err)
		}
		for r := rune(0); r <= 0x10FFFF; r++ {
			if r == 0xD800 {
				r = 0xE000
			}
			spans, err := re.spans(nil, string(r))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.of(r) == as; got != spans[0].match {
				t.Errorf("%U is %s: %v, by the pattern %v", r, source, got, spans[0].match)
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{"Hello, world's  \n\n x", "  \r\n\t a'LL 1234 'ſ", "\u3000\u00a0.\n\n", "e\u0301 ١٢٣", "   ", "\n a"} {
		f.Add(s)
	}
	c, oracles := newClasses(), scanOracles(f)
	f.Fuzz(func(t *testing.T, text string) {
		checkScan(t, c, oracles, strings.ToValidUTF8(text, "\uFFFD"))
	})
}
