package tokenizer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Open reads a tokenizer.json, given itself or its folder, and from the files beside it the ids that begin and end a
// text: bos_token and eos_token of tokenizer_config.json, bos_token_id and eos_token_id of generation_config.json and
// config.json. Those files may be absent.
func Open(path string) (*Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "tokenizer.json")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := Parse(path, data)
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
