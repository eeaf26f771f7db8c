package train

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"

	"pipe.dev/executor/tokenizer"
)

// named is a row of a table.
type named[T any] struct {
	name string
	row  T
}

// trainer makes a model of the words that it is given.
type trainer func(r *run) (*model, error)

func trainers() []named[trainer] {
	return []named[trainer]{
		{"bpe", trainBPE},
		{"wordpiece", trainWordPiece},
		{"unigram", trainUnigram},
	}
}

// run is one training.
type run struct {
	Attr
	words    []word // by their text
	threads  int
	progress Progress
	affixed  []string // the order of the characters with prefix or suffix; nil: of their code points
}

// model is what a trainer makes.
type model struct {
	tokens []string   // by id
	merges [][2]int32 // of bpe, by rank
	scores []float64  // of unigram, by id
}

// Run trains a tokenizer on texts and returns its tokenizer.json, compact. An error of texts ends it and is returned.
// Errors are one line; those of attributes begin with the field's name, those of texts with "text N", counted from 0.
// A progress of nil is allowed.
func Run(a Attr, texts iter.Seq2[string, error], progress Progress) ([]byte, error) {
	return runThreads(a, texts, progress, runtime.GOMAXPROCS(0))
}

// BPE is Run for byte pair encoding. Source: arXiv:1508.07909.
func BPE(a Attr, texts iter.Seq2[string, error], progress Progress) ([]byte, error) {
	a.Kind = "bpe"
	return Run(a, texts, progress)
}

// WordPiece is Run for WordPiece: the tokens are found by byte pair encoding, as the Rust library does.
// Source: arXiv:1609.08144.
func WordPiece(a Attr, texts iter.Seq2[string, error], progress Progress) ([]byte, error) {
	a.Kind = "wordpiece"
	return Run(a, texts, progress)
}

// Unigram is Run for Unigram. Source: arXiv:1804.10959.
func Unigram(a Attr, texts iter.Seq2[string, error], progress Progress) ([]byte, error) {
	a.Kind = "unigram"
	return Run(a, texts, progress)
}

func runThreads(a Attr, texts iter.Seq2[string, error], progress Progress, threads int) ([]byte, error) {
	return runOrdered(a, texts, progress, threads, nil)
}

func runOrdered(a Attr, texts iter.Seq2[string, error], progress Progress, threads int, affixed []string) ([]byte, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	if a.Kind == "wordpiece" && a.Prefix == "" {
		a.Prefix = "##"
	}
	if progress == nil {
		progress = func(string, int64, int64) error { return nil }
	}
	f := partsOf(&a)
	t, err := tokenizer.Parse("tokenizer.json", f.encode(&a, nil))
	if err != nil {
		if _, fact, ok := strings.Cut(err.Error(), "pattern.Regex: "); ok {
			return nil, fmt.Errorf("pattern: %s", fact)
		}
		return nil, err
	}
	r := &run{Attr: a, threads: threads, progress: progress, affixed: affixed}
	if r.words, err = countWords(t, texts, threads, progress); err != nil {
		return nil, err
	}
	if len(r.words) == 0 {
		return nil, errors.New("the texts have no words to train on")
	}
	for _, t := range trainers() {
		if t.name == a.Kind {
			m, err := t.row(r)
			if err != nil {
				return nil, err
			}
			return f.encode(&a, m), nil
		}
	}
	panic("train: kind was checked")
}
