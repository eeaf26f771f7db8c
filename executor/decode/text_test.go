package decode

import (
	"strings"
	"testing"
)

// TestHolder feeds texts piece by piece and checks that no part of a stop
// string comes out, and that everything before it does.
func TestHolder(t *testing.T) {
	for _, c := range []struct {
		stop, pieces []string
		want         string
		stopped      bool
	}{
		{nil, []string{"a", "b"}, "ab", false},
		{[]string{"END"}, []string{"one E", "N", "D two"}, "one ", true},
		{[]string{"END"}, []string{"one E", "N", "x"}, "one ENx", false},
		{[]string{"END"}, []string{"one EEND"}, "one E", true},
		{[]string{"aab", "b"}, []string{"a", "a", "a", "b"}, "a", true},
		{[]string{"\n\n"}, []string{"x\n", "y\n", "\nz"}, "x\ny", true},
		{[]string{"never"}, []string{"nev", "e"}, "neve", false},
		{[]string{"é"}, []string{"caf", "é"}, "caf", true},
	} {
		h := holder{stop: c.stop}
		var got strings.Builder
		stopped := false
		for _, p := range c.pieces {
			var text string
			text, stopped = h.push(p)
			got.WriteString(text)
			if stopped {
				break
			}
		}
		if !stopped {
			got.WriteString(h.held)
		}
		if got.String() != c.want || stopped != c.stopped {
			t.Errorf("stop %q, pieces %q: got %q, stopped %v", c.stop, c.pieces, got.String(), stopped)
		}
	}
}
