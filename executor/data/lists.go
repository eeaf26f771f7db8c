package data

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/internal/suggest"
)

// ListAttr says how lists of several lengths fill an input of one size.
type ListAttr struct {
	Fill       float64 `cue:"fill: number | *0" doc:"what follows the numbers of a row that has fewer than the input"`
	Vocabulary string  `cue:"vocabulary: string | *\"\"" doc:"a JSON file {word: id}; the column holds words then, in a list or between spaces"`
}

// List is a ListAttr whose words are read.
type List struct {
	ListAttr
	ids map[string]int32 // nil if rows hold numbers
}

// maxVocabulary is the size of the largest file of words, bytes.
const maxVocabulary = 1 << 26

// OpenList reads the words of a list. Errors are *checkpoint.Error.
func OpenList(a ListAttr) (*List, error) {
	l := &List{ListAttr: a}
	if a.Vocabulary == "" {
		return l, nil
	}
	f, err := os.Open(a.Vocabulary)
	if err != nil {
		return nil, checkpoint.FileError(a.Vocabulary, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxVocabulary+1))
	if err != nil {
		return nil, checkpoint.FileError(a.Vocabulary, err)
	}
	if len(text) > maxVocabulary {
		return nil, errorf(a.Vocabulary, "has more than %d bytes", maxVocabulary)
	}
	if err := json.Unmarshal(text, &l.ids); err != nil || len(l.ids) == 0 {
		return nil, errorf(a.Vocabulary, "is no JSON object of words and their ids, as {\"AH0\": 1}")
	}
	return l, nil
}

// append adds the numbers of a value: a list, or a text of numbers or words between spaces.
func (l *List) append(to []float64, x any) ([]float64, error) {
	var words []string
	switch x := x.(type) {
	case string:
		words = strings.Fields(x)
	case []any:
		for _, y := range x {
			word, ok := y.(string)
			if !ok && l.ids == nil {
				return numbersOf(to, x)
			}
			if !ok {
				return nil, fmt.Errorf("has %v in its list, want words of %s", y, l.Vocabulary)
			}
			words = append(words, word)
		}
	default:
		if l.ids != nil {
			return nil, fmt.Errorf("is %v, want words of %s", x, l.Vocabulary)
		}
		return numbersOf(to, x)
	}
	for _, word := range words {
		if l.ids != nil {
			id, ok := l.ids[word]
			if !ok {
				return nil, fmt.Errorf("has %q, which %s lacks%s", clip(word), l.Vocabulary, l.hint(word))
			}
			to = append(to, float64(id))
			continue
		}
		var err error
		if to, err = numbersOf(to, word); err != nil {
			return nil, err
		}
	}
	return to, nil
}

// hint is "; did you mean X?", or "".
func (l *List) hint(word string) string {
	known := make([]string, 0, len(l.ids))
	for w := range l.ids {
		known = append(known, w)
	}
	if s := suggest.DidYouMean(word, known); s != "" {
		return "; " + s
	}
	return ""
}

// filled are the numbers of a row with what follows them.
func (f *Field) filled(numbers []float64) ([]float64, error) {
	if n := len(numbers); n > f.Width {
		return nil, fmt.Errorf("has %d numbers, and the input %s has room for %d", n, f.Name, f.Width)
	}
	for len(numbers) < f.Width {
		numbers = append(numbers, f.List.Fill)
	}
	return numbers, nil
}

// checkLists holds what is said of lists against the inputs.
func (e *Examples) checkLists() error {
	for i := range e.fields {
		f := &e.fields[i]
		switch {
		case f.List == nil:
		case len(f.Shape) != 1 || f.Shape[0] < 1 || f.ofFile():
			return optionErrorf("lists."+f.Name, "is no input [batch, n] of numbers")
		case f.List.ids != nil && f.DType != ir.I32:
			return optionErrorf("lists."+f.Name, "has a vocabulary, and the input is of %v; ids are i32", f.DType)
		}
	}
	return nil
}

// IDs are the ids of a text's words, which stand between spaces; l must have a vocabulary.
func (l *List) IDs(text string) ([]int32, error) {
	numbers, err := l.append(nil, text)
	ids := make([]int32, len(numbers))
	for i, x := range numbers {
		ids[i] = int32(x)
	}
	return ids, err
}
