package tokenizer

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Open reads a tokenizer: a tokenizer.json, a SentencePiece model, ranks of tiktoken (with the recipe in PATH.json, see
// ParseTiktoken), or merges whose vocabulary follows from them (see ParseMerges), each as it is or packed by gzip; or a
// folder that holds one, or a vocabulary (see openVocabulary). From the files beside it come the ids that begin and end a text: bos_token and eos_token of
// tokenizer_config.json, bos_token_id and eos_token_id of generation_config.json and config.json. Those files may be
// absent.
func Open(path string) (*Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = inFolder(path)
	}
	t, err := openFile(path)
	if err != nil {
		return nil, err
	}
	folder := filepath.Dir(path)
	for _, side := range sideFiles {
		name := filepath.Join(folder, side.name)
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		root, err := parseDocument(name, data)
		if err != nil {
			return nil, err
		}
		o, err := root.object()
		if err != nil {
			return nil, err
		}
		if err := side.read(t, o); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// openFile reads one file, or a vocabulary with the files that belong to it.
func openFile(path string) (*Tokenizer, error) {
	if name := filepath.Base(path); name == vocabularyJSON || name == vocabularyText {
		return openVocabulary(path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseFile(path, data)
}

// inFolder is the tokenizer of a folder: of several the one that says most.
func inFolder(folder string) string {
	first := filepath.Join(folder, "tokenizer.json")
	for _, pattern := range []string{"tokenizer.json", "tokenizer.model", "spiece.model", "*.model", "*.tiktoken", vocabularyJSON, vocabularyText} {
		if found, err := filepath.Glob(filepath.Join(folder, pattern)); err == nil && len(found) == 1 {
			return found[0]
		}
	}
	return first
}

// largestFile bounds what is unpacked.
const largestFile = 1 << 28

// parseFile reads a file by what it holds.
func parseFile(path string, data []byte) (*Tokenizer, error) {
	name := path
	if bytes.HasPrefix(data, []byte{0x1F, 0x8B}) {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(r, largestFile+1))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(data) > largestFile {
			return nil, fmt.Errorf("%s: holds more than %d bytes", path, largestFile)
		}
		name = strings.TrimSuffix(name, ".gz")
	}
	head := data[:min(len(data), 256)]
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	switch {
	case bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte{'{'}) || strings.HasSuffix(name, ".json"):
		return Parse(path, data)
	case bytes.Contains(line, []byte("#version")):
		return ParseMerges(name, data)
	case rankLine(line):
		recipe, err := os.ReadFile(path + ".json")
		if errors.Is(err, fs.ErrNotExist) {
			recipe, err = nil, nil
		}
		if err != nil {
			return nil, err
		}
		return ParseTiktoken(path, data, recipe)
	case strings.HasSuffix(name, ".model"):
		return ParseSentencePiece(path, data)
	}
	return nil, fmt.Errorf("%s: is no tokenizer: want a tokenizer.json, a SentencePiece .model, a .tiktoken or a .gguf", path)
}

// rankLine tells a line of a token in base64 and a number.
func rankLine(line []byte) bool {
	token, rank, ok := bytes.Cut(bytes.TrimSpace(line), []byte{' '})
	if !ok || len(rank) == 0 || len(bytes.Trim(rank, "0123456789")) > 0 {
		return false
	}
	_, err := base64.StdEncoding.DecodeString(strings.TrimLeft(string(token), "="))
	return err == nil
}

// sideFiles are read in this order: the first to name the id that begins a text is believed, and the ids that end one
// are collected.
var sideFiles = [...]struct {
	name string
	read func(*Tokenizer, object) error
}{
	{"tokenizer_config.json", (*Tokenizer).tokenNames},
	{"generation_config.json", (*Tokenizer).tokenIDs},
	{"config.json", (*Tokenizer).tokenIDs},
}

// tokenNames reads tokens by name: "bos_token": "<s>", or {"content": "<s>", ...}.
func (t *Tokenizer) tokenNames(o object) error {
	for _, f := range []struct {
		name string
		set  func(int32)
	}{{"bos_token", t.setBOS}, {"eos_token", t.addEOS}} {
		v := o.byName[f.name]
		if v.absent() {
			continue
		}
		if v.kind() == '{' {
			token, err := v.object()
			if err != nil {
				return err
			}
			if v, err = token.need("content"); err != nil {
				return err
			}
		}
		name, err := v.str()
		if err != nil {
			return err
		}
		id, ok := t.ID(name)
		if !ok {
			return v.errorf("%.60q is not in the vocabulary of %s", name, t.name)
		}
		f.set(id)
	}
	return t.addEnds(o)
}

// addEnds puts the tokens that begin and end a text around it, if the file asks for that and the tokenizer does not do
// it by itself, as none does whose kind is a bare vocabulary.
func (t *Tokenizer) addEnds(o object) error {
	if t.post != nil {
		return nil
	}
	bos, err := o.boolean("add_bos_token", false)
	if err != nil {
		return err
	}
	eos, err := o.boolean("add_eos_token", false)
	if err != nil || t.fromJSON || !bos && !eos {
		return err
	}
	if bos && t.bos >= 0 {
		t.wrap.before = []int32{t.bos}
	}
	if eos && len(t.eos) > 0 {
		t.wrap.after = t.eos[:1:1]
	}
	t.post = &wrapper{t.wrap, t.voc.tokens}
	return nil
}

// tokenIDs reads tokens by id: "eos_token_id": 2, or [2, 3].
func (t *Tokenizer) tokenIDs(o object) error {
	for _, f := range []struct {
		name string
		set  func(int32)
	}{{"bos_token_id", t.setBOS}, {"eos_token_id", t.addEOS}} {
		v := o.byName[f.name]
		if v.absent() {
			continue
		}
		one := func(v value) error {
			id, err := v.integer()
			if err == nil {
				f.set(id)
			}
			return err
		}
		err := error(nil)
		if v.kind() == '[' {
			err = v.items(one)
		} else {
			err = one(v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Tokenizer) setBOS(id int32) {
	if t.bos < 0 {
		t.bos = id
	}
}

func (t *Tokenizer) addEOS(id int32) {
	if !slices.Contains(t.eos, id) {
		t.eos = append(t.eos, id)
	}
}

// Files are the files that Open reads of a path, as far as they are there.
func Files(path string) []string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = inFolder(path)
	}
	list := []string{path, path + ".json"}
	for _, name := range []string{mergesText, "special_tokens_map.json", "added_tokens.json"} {
		list = append(list, filepath.Join(filepath.Dir(path), name))
	}
	for _, side := range sideFiles {
		list = append(list, filepath.Join(filepath.Dir(path), side.name))
	}
	return slices.DeleteFunc(list, func(name string) bool {
		info, err := os.Stat(name)
		return err != nil || !info.Mode().IsRegular()
	})
}
