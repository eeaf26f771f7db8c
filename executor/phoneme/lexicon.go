// Package phoneme says how English words sound: by a lexicon, and by whatever else
// is given for words that it lacks. Phonemes are those of ARPAbet, vowels with
// their stress: "HH AH0 L OW1".
package phoneme

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed" // the lexicon
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// packed is the CMU Pronouncing Dictionary; its licence is cmudict.LICENSE.
//
//go:embed cmudict.gz
var packed []byte

// Lexicon holds how words sound, by the word in small letters.
type Lexicon struct {
	sounds map[string]string
}

// limits of files, so that no file fills the memory.
const (
	maxBytes = 64 << 20
	maxLine  = 1 << 12
)

// English is the CMU Pronouncing Dictionary, 126,000 words as they are spoken in
// North America.
var English = sync.OnceValues(func() (*Lexicon, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return Read("cmudict", z)
})

// Open reads a lexicon from a file.
func Open(file string) (*Lexicon, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Read(file, f)
}

// Read reads a lexicon in the form of the CMU dictionary: on each line a word and
// its phonemes. Of several ways to say a word, "word(2)", the first counts; lines
// that begin with ;;; or #, and what follows a space and #, are comments.
func Read(name string, r io.Reader) (*Lexicon, error) {
	l := &Lexicon{sounds: map[string]string{}}
	limited := &io.LimitedReader{R: r, N: maxBytes}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), " #")
		if strings.HasPrefix(line, ";;;") || strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return nil, fmt.Errorf("%s:%d: %q is a word without phonemes", name, n, fields[0])
		}
		word := strings.ToLower(fields[0])
		if i := strings.IndexByte(word, '('); i > 0 && strings.HasSuffix(word, ")") {
			word = word[:i]
		}
		if _, known := l.sounds[word]; !known {
			l.sounds[word] = strings.Join(fields[1:], " ")
		}
	}
	switch {
	case lines.Err() != nil:
		return nil, fmt.Errorf("%s: %w", name, lines.Err())
	case limited.N <= 0:
		return nil, fmt.Errorf("%s: has more than %d bytes", name, maxBytes)
	case len(l.sounds) == 0:
		return nil, fmt.Errorf("%s: holds no words", name)
	}
	return l, nil
}

// Len is the number of words.
func (l *Lexicon) Len() int { return len(l.sounds) }

// Lookup gives the phonemes of a word, also of one that ends in 's where the
// lexicon has the rest of it.
func (l *Lexicon) Lookup(word string) ([]string, bool) {
	word = strings.ToLower(word)
	if s, ok := l.sounds[word]; ok {
		return strings.Fields(s), true
	}
	if base, ok := strings.CutSuffix(word, "'s"); ok {
		if s, ok := l.sounds[base]; ok {
			list := strings.Fields(s)
			return append(list, possessive(list[len(list)-1])...), true
		}
	}
	return nil, false
}

// possessive is how 's sounds behind a phoneme.
func possessive(last string) []string {
	switch last {
	case "S", "Z", "SH", "ZH", "CH", "JH":
		return []string{"IH0", "Z"}
	case "P", "T", "K", "F", "TH":
		return []string{"S"}
	}
	return []string{"Z"}
}

// Spell gives the phonemes of the names of a word's letters.
func (l *Lexicon) Spell(word string) []string {
	var out []string
	for _, c := range strings.ToLower(word) {
		if s, ok := l.sounds[string(c)+"."]; ok {
			out = append(out, strings.Fields(s)...)
		} else if s, ok := l.sounds[string(c)]; ok && c != '\'' {
			out = append(out, strings.Fields(s)...)
		}
	}
	return out
}
