package train

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"pipe.dev/executor/tokenizer"
)

// word is a word and how often it occurs.
type word struct {
	text  string
	count int64
}

// tally counts words on one goroutine.
type tally struct {
	index map[string]int32
	words []word
	// failed is the first text that gave an error, -1 if none did.
	failed int
	err    error
}

func (t *tally) add(text string, n int64) {
	i, ok := t.index[text]
	if !ok {
		i = int32(len(t.words))
		text = strings.Clone(text)
		t.index[text] = i
		t.words = append(t.words, word{text: text})
	}
	t.words[i].count += n
}

// batch is some texts in a row.
type batch struct {
	first int // number of the first
	texts []string
}

// batchBytes is how much text a goroutine gets at a time.
const batchBytes = 1 << 17

// countWords cuts texts into words and counts them, on several goroutines. The words come sorted by their text. Of
// several texts with errors the first is reported.
func countWords(t *tokenizer.Tokenizer, texts iter.Seq2[string, error], threads int, progress Progress) ([]word, error) {
	work := make(chan batch, threads)
	stop := make(chan struct{})
	tallies := make([]tally, max(threads, 1))
	var once sync.Once
	var group sync.WaitGroup
	for i := range tallies {
		group.Go(func() {
			if tallies[i] = countBatches(t, work); tallies[i].err != nil {
				once.Do(func() { close(stop) })
				for range work { // of texts sent before that
				}
			}
		})
	}
	err := handOut(texts, work, stop, progress)
	group.Wait()
	first := -1
	for i := range tallies {
		if t := &tallies[i]; t.err != nil && (first < 0 || t.failed < tallies[first].failed) {
			first = i
		}
	}
	if first >= 0 {
		return nil, fmt.Errorf("text %d: %w", tallies[first].failed, tallies[first].err)
	}
	if err != nil {
		return nil, err
	}
	all := &tallies[0]
	for i := range tallies[1:] {
		for _, w := range tallies[i+1].words {
			all.add(w.text, w.count)
		}
	}
	slices.SortFunc(all.words, func(a, b word) int { return strings.Compare(a.text, b.text) })
	return all.words, nil
}

// errStopped says that a text had an error, which is known elsewhere.
var errStopped = errors.New("stopped")

// handOut sends the texts in batches and closes work, until texts fail or stop is closed.
func handOut(texts iter.Seq2[string, error], work chan<- batch, stop <-chan struct{}, progress Progress) error {
	defer close(work)
	b, size, done := batch{}, 0, int64(0)
	send := func() error {
		select {
		case work <- b:
		case <-stop:
			return errStopped
		}
		done += int64(size)
		b, size = batch{first: b.first + len(b.texts)}, 0
		return progress("words", done, 0)
	}
	for text, err := range texts {
		if err != nil {
			if len(b.texts) > 0 {
				_ = send() // an earlier text may have a mistake, and else this error counts
			}
			return err
		}
		b.texts = append(b.texts, text)
		if size += len(text); size < batchBytes {
			continue
		}
		if err := send(); err != nil {
			return err
		}
	}
	if len(b.texts) > 0 {
		return send()
	}
	return nil
}

// countBatches counts until there is no more work or a text has an error.
func countBatches(t *tokenizer.Tokenizer, work <-chan batch) tally {
	c := tally{index: map[string]int32{}, failed: -1}
	words := t.Words(func(w string) { c.add(w, 1) })
	for b := range work {
		for i, text := range b.texts {
			if err := words(text); err != nil {
				c.failed, c.err = b.first+i, err
				return c
			}
		}
	}
	return c
}
