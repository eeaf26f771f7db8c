package stage

import (
	"context"
	"testing"
)

// TestParagraphs: text that is read aloud keeps its paragraphs, and each has a line of phonemes, with its marks.
func TestParagraphs(t *testing.T) {
	t.Parallel()
	aloud, err := spokenText().Run(context.Background(), &Call{In: map[string]Value{"x": "Three\ncats; 2 cats\n \n\nNo cats.\n"}})
	if err != nil || aloud != "Three cats; two cats\n\nNo cats." {
		t.Errorf("%q %v", aloud, err)
	}
	said, err := runPhonemes(context.Background(), &Call{Attr: PhonemesAttr{Between: "_"}, In: map[string]Value{"x": aloud}})
	if err != nil || said != "TH R IY1 _ K AE1 T S _ ; _ T UW1 _ K AE1 T S\nN OW1 _ K AE1 T S _ ." {
		t.Errorf("%q %v", said, err)
	}
}
