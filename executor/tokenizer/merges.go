package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// mergesRecipe is what merges alone do not say: their number, the end of a word, the tokens after those that merges
// make, and the other parts of a tokenizer.json.
type mergesRecipe struct {
	Count     int             `json:"count"`
	Suffix    string          `json:"suffix"`
	Append    []string        `json:"append"`
	Unknown   string          `json:"unknown"`
	Tokenizer json.RawMessage `json:"tokenizer"`
}

// ParseMerges reads a file of merges, a line each after one with "#version", whose vocabulary follows from them: the 256
// byte-level characters, the same at the end of a word, what the merges make, and some special tokens. What the file does
// not say is found by its name under "merges" in patterns.json.
func ParseMerges(name string, data []byte) (*Tokenizer, error) {
	base, _, _ := strings.Cut(filepath.Base(name), ".")
	r, err := mergesRecipeOf(base)
	if err != nil {
		return nil, fmt.Errorf("%s: holds merges; what they belong to follows from the name, and %w", name, err)
	}
	vocab, merges := map[string]int{}, [][2]string{}
	add := func(token string) { vocab[token] = len(vocab) }
	for _, suffix := range []string{"", r.Suffix} {
		for _, own := range []bool{true, false} { // the order of openai/gpt-2: bytes that stand for themselves first
			for b := range 256 {
				if c := ByteRune(byte(b)); (c == rune(b)) == own {
					add(string(c) + suffix)
				}
			}
		}
	}
	lines := bytes.Split(data, []byte{'\n'})[1:]
	if len(lines) < r.Count {
		return nil, fmt.Errorf("%s: has %d merges, want %d", name, len(lines), r.Count)
	}
	for i, line := range lines[:r.Count] {
		left, right, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
		if !ok || strings.Contains(right, " ") {
			return nil, fmt.Errorf("%s:%d: is %.60q, want two tokens with one space between", name, i+2, line)
		}
		merges = append(merges, [2]string{left, right})
		add(left + right)
	}
	if want := 512 + r.Count; len(vocab) != want {
		return nil, fmt.Errorf("%s: makes %d tokens, want %d: some merge is there twice", name, len(vocab), want)
	}
	var special []map[string]any
	for _, token := range r.Append {
		special = append(special, map[string]any{"id": len(vocab), "content": token, "special": true, "normalized": false})
		add(token)
	}
	var file map[string]any
	if err := json.Unmarshal(r.Tokenizer, &file); err != nil {
		return nil, err
	}
	file["added_tokens"] = special
	file["model"] = map[string]any{"type": "BPE", "vocab": vocab, "merges": merges, "end_of_word_suffix": r.Suffix, "unk_token": r.Unknown}
	text, err := json.Marshal(file)
	if err != nil {
		return nil, err
	}
	t, err := Parse(name, text)
	if err == nil && len(r.Append) == 2 {
		t.setBOS(int32(len(vocab) - 2))
		t.addEOS(int32(len(vocab) - 1))
	}
	return t, err
}
