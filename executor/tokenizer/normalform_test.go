package tokenizer

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// TestNormalForm holds the forms against golang.org/x/text on texts of old characters without crowds of marks, where
// the two must agree. Crowds are in testdata/kinds.json.gz.
func TestNormalForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	ranges := [][2]rune{{0x20, 0x7F}, {0xA0, 0x24F}, {0x300, 0x36F}, {0x300, 0x36F}, {0x900, 0xDFF}, {0x1100, 0x11FF}, {0x1E00, 0x1FFF}, {0xAC00, 0xAC40}, {0xFB00, 0xFB06}, {0x1D158, 0x1D1AD}, {0x11080, 0x110BF}}
	for range 30000 {
		text := make([]rune, 1+rng.IntN(7))
		for i := range text {
			r := ranges[rng.IntN(len(ranges))]
			text[i] = r[0] + rng.Int32N(r[1]-r[0]+1)
			if younger(text[i]) {
				text[i] = 'x'
			}
		}
		s := string(text)
		for _, f := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
			if got, want := normalForm(f, piece{text: s}).text, f.String(s); got != want {
				t.Fatalf("form %d of %+q: %+q, want %+q", f, s, got, want)
			}
		}
	}
}

// younger tells characters that the reference does not order or decompose, and Go does.
func younger(r rune) bool {
	p := norm.NFKD.PropertiesString(string(r))
	return p.CCC() != combining(r) || len(p.Decomposition()) > 0 && !unicodeTables().compatible.has(r)
}
