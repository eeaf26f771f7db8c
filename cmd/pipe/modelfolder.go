package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// readModelType returns the model_type of a config.json; "" if it has none or
// there is no such file.
func readModelType(file string) (string, error) {
	var config struct {
		ModelType string `json:"model_type"`
	}
	err := readJSON(file, &config)
	return config.ModelType, err
}

// tokenizerKind is what a tokenizer.json says of itself.
type tokenizerKind struct {
	Type       string `json:"type"`       // of the model: BPE, WordPiece, Unigram, WordLevel
	Vocabulary int    `json:"vocabulary"` // tokens of the model
	Added      int    `json:"added_tokens"`
}

func (k *tokenizerKind) String() string {
	return fmt.Sprintf("%s, %s tokens, %s added", k.Type, grouped(int64(k.Vocabulary)), grouped(int64(k.Added)))
}

// readTokenizerKind returns nil if there is no such file. It does not build a
// tokenizer, so that one of a kind that pipe cannot use is named as well.
func readTokenizerKind(file string) (*tokenizerKind, error) {
	var t struct {
		Model struct {
			Type  string
			Vocab json.RawMessage
		}
		Added []json.RawMessage `json:"added_tokens"`
	}
	if err := readJSON(file, &t); err != nil {
		return nil, err
	}
	if t.Model.Vocab == nil {
		return nil, nil
	}
	k := &tokenizerKind{Type: printable(t.Model.Type), Added: len(t.Added)}
	if k.Type == "" {
		k.Type = "unnamed kind" // files of old, in which the library guesses it
	}
	var byToken map[string]json.RawMessage
	var list []json.RawMessage
	if json.Unmarshal(t.Model.Vocab, &byToken) == nil {
		k.Vocabulary = len(byToken)
	} else if json.Unmarshal(t.Model.Vocab, &list) == nil {
		k.Vocabulary = len(list)
	}
	return k, nil
}

// readJSON reads a file into v; one that does not exist leaves v as it is.
func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = json.Unmarshal(data, v)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
		return fmt.Errorf("line %d: %w", line, err)
	}
	return err
}
