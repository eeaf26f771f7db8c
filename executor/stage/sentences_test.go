package stage

import (
	"slices"
	"strings"
	"testing"
)

func TestCutSentences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{" \n ... ", nil},
		{"One. Two! Three", []string{"One.", "Two!", "Three"}},
		{`"Who?" he said. 3.5 is more... than 3.`, []string{`"Who?"`, "he said.", "3.5 is more...", "than 3."}},
		{"One line\nand another\n\n  a paragraph", []string{"One line\nand another", "a paragraph"}},
		{"What?! . Yes.", []string{"What?!.", "Yes."}},
		{strings.Repeat("word ", 6) + "end, and more words", []string{"word word word word word word", "end, and more words"}},
		{strings.Repeat("x", 70), []string{strings.Repeat("x", 30), strings.Repeat("x", 30), strings.Repeat("x", 10)}},
	} {
		if got := cutSentences(c.text, 30); !slices.Equal(got, c.want) {
			t.Errorf("%q is cut into %q", c.text, got)
		}
	}
}
