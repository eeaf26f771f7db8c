package phoneme

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func english(t *testing.T) *Lexicon {
	t.Helper()
	l, err := English()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEnglish(t *testing.T) {
	l := english(t)
	if l.Len() < 125000 {
		t.Errorf("%d words", l.Len())
	}
	for word, want := range map[string]string{
		"hello": "HH AH0 L OW1", "World": "W ER1 L D", "don't": "D OW1 N T", "pipe's": "P AY1 P S", "a": "AH0", "bus's": "B AH1 S IH0 Z", "model's": "M AA1 D AH0 L Z",
	} {
		if got, ok := l.Lookup(word); !ok || strings.Join(got, " ") != want {
			t.Errorf("%s is %v, want %s", word, got, want)
		}
	}
	if got, ok := l.Lookup("kubernetes"); ok {
		t.Errorf("kubernetes is %v", got)
	}
}

func TestSay(t *testing.T) {
	l := english(t)
	tokens := Split("Hello, 'world' -- GPU: kubernetes' café... xyzzy!")
	var words []string
	for _, k := range tokens {
		words = append(words, k.Text)
	}
	if want := []string{"Hello", ",", "'world'", "GPU", ":", "kubernetes'", "cafe", ".", "xyzzy", "!"}; !slices.Equal(words, want) {
		t.Fatalf("words are %q, want %q", words, want)
	}
	if got := l.Unknown(tokens); !slices.Equal(got, []string{"kubernetes'", "xyzzy"}) {
		t.Errorf("unknown are %q", got)
	}
	said := l.Say(tokens, map[string][]string{"kubernetes'": {"K", "UW2"}})
	want := "[[HH AH0 L OW1] [,] [W ER1 L D] [JH IY1 P IY1 Y UW1] [:] [K UW2] [K AH0 F EY1] [.] [EH1 K S W AY1 Z IY1 Z IY1 W AY1] [!]]"
	if fmt.Sprint(said) != want {
		t.Errorf("said %v\nwant %v", said, want)
	}
}

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "lex: holds no words",
		"word\n":                  `lex:1: "word" is a word without phonemes`,
		";;; x\n# y\nA":           `lex:3: "A" is a word without phonemes`,
		strings.Repeat("x", 5000): "lex: bufio.Scanner: token too long",
	} {
		if _, err := Read("lex", strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	l, err := Read("lex", strings.NewReader("TOMATO T AH0 M EY1 T OW2 # fruit\ntomato(2) T AH0 M AA1 T OW2\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := l.Lookup("tomato"); strings.Join(got, " ") != "T AH0 M EY1 T OW2" {
		t.Errorf("tomato is %v", got)
	}
}
