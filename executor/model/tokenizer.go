package model

import (
	"errors"
	"io/fs"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tokenizer"
)

// Tokenizer returns the folder's tokenizer, read at the first call.
func (m *Model) Tokenizer() (*tokenizer.Tokenizer, error) {
	if m.tokenizer == nil {
		path := m.opt.Tokenizer
		if path == "" {
			path = m.opt.Dir
		}
		t, err := OpenTokenizer(path)
		if err != nil {
			return nil, err
		}
		m.tokenizer = t
	}
	return m.tokenizer, nil
}

// OpenTokenizer reads the tokenizer of a folder, or a file of any kind that
// tokenizer.Open knows, or the vocabulary in a GGUF file. A file that
// can't be read is a *checkpoint.Error, what is wrong in one a *TokenizerError.
func OpenTokenizer(path string) (*tokenizer.Tokenizer, error) {
	if IsGGUF(path) {
		return vocabularyOf(path)
	}
	t, err := tokenizer.Open(path)
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return nil, checkpoint.FileError(file.Path, file)
	}
	if err != nil {
		return nil, &TokenizerError{err}
	}
	return t, nil
}

// TokenizerError says what is wrong in a tokenizer's files, and where.
type TokenizerError struct{ Err error }

func (e *TokenizerError) Error() string { return e.Err.Error() }

func (e *TokenizerError) Unwrap() error { return e.Err }
