package tokenizer

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// TestNormalForm holds the forms written by the letter against golang.org/x/text on texts without crowds, where the two
// must agree. Crowds are in testdata/kinds.json.gz.
func TestNormalForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	ranges := [][2]rune{{0x20, 0x7F}, {0xA0, 0x24F}, {0x300, 0x36F}, {0x300, 0x36F}, {0x900, 0xDFF}, {0x1100, 0x11FF}, {0x1E00, 0x1FFF}, {0xAC00, 0xAC40}, {0xFB00, 0xFB06}, {0x1D158, 0x1D1AD}, {0x11080, 0x110BF}}
	for range 30000 {
		text := make([]rune, 1+rng.IntN(crowd))
		for i := range text {
			r := ranges[rng.IntN(len(ranges))]
			text[i] = r[0] + rng.Int32N(r[1]-r[0]+1)
		}
		s := string(text)
		for _, f := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
			want := f.String(s)
			if got := normalForm(f, s); got != want {
				t.Fatalf("form %d of %+q: %+q, want %+q", f, s, got, want)
			}
			if got := crowdedForm(f, s); got != want {
				t.Fatalf("form %d of %+q by the letter: %+q, want %+q", f, s, got, want)
			}
		}
	}
}
