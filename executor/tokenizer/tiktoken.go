package tokenizer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseTiktoken reads ranks in the form of openai/tiktoken: a line for each token, its bytes in base64 and its rank,
// which is its id. How texts are split and which tokens are special stands in none of these files: it is the recipe, a
// JSON object as under "tiktoken" in patterns.json, or, where that is nil, the one there with the name of the file.
// Ids equal those of tiktoken with all special tokens allowed.
func ParseTiktoken(name string, data, recipeJSON []byte) (*Tokenizer, error) {
	r, err := tiktokenRecipe(name, recipeJSON)
	if err != nil {
		return nil, err
	}
	voc, byRank, err := readRanks(name, data)
	if err != nil {
		return nil, err
	}
	t := newTokenizer(name)
	if t.split, err = r.splitters(); err != nil {
		return nil, fmt.Errorf("%s.json: split: %w", name, err)
	}
	b := newBPE(voc)
	b.byteLevel, b.ignoreMerges = true, true
	b.characters()
	if !b.allBytes {
		return nil, fmt.Errorf("%s: some of the 256 bytes are no tokens", name)
	}
	b.mergesByRank(byRank)
	t.model, t.voc, t.joined = b, voc, true
	t.decoders = []decoder{byteLevelDecoder{}}
	list := r.specials(int32(len(voc.tokens)))
	for i := range list {
		a := &list[i]
		if a.id < 0 || int64(a.id) > sparse(len(voc.tokens)) {
			return nil, fmt.Errorf("%s: the special token %.60q has the absurd id %d", name, a.content, a.id)
		}
		if err := voc.add(a.content, a.id); err != nil {
			return nil, fmt.Errorf("%s: special tokens: %w", name, err)
		}
		a.shown = string(appendByteRunes(nil, a.content))
		t.added[a.id] = a
		t.special[a.shown] = true
	}
	found := make([]*addedToken, len(list))
	for i := range list {
		found[i] = &list[i]
	}
	t.raw = newFinder(found)
	if id, ok := t.ID("<|endoftext|>"); ok {
		t.addEOS(id)
	}
	return t, nil
}

// tiktokenRecipe reads the recipe, or finds it by the name of the file.
func tiktokenRecipe(name string, data []byte) (*recipe, error) {
	if data == nil {
		base := filepath.Base(name)
		base, _, _ = strings.Cut(base, ".tiktoken")
		r, err := recipeOf("tiktoken", base)
		if err != nil {
			return nil, fmt.Errorf("%s: how its texts are split must stand beside it, in %s.json, or follow from its name: %w", name, name, err)
		}
		return r, nil
	}
	r := &recipe{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, fmt.Errorf("%s.json: %w", name, err)
	}
	if len(r.Split) == 0 {
		return nil, fmt.Errorf("%s.json: has no \"split\": the patterns of words", name)
	}
	for _, s := range append(slices.Clone(r.Append), specialNames(r.Special)...) {
		if s == "" || !utf8.ValidString(s) {
			return nil, fmt.Errorf("%s.json: special token %q: want a text", name, s)
		}
	}
	return r, nil
}

func specialNames(list []specialToken) (names []string) {
	for _, s := range list {
		names = append(names, s.Token)
	}
	return names
}

// specials are the special tokens of a recipe, of a vocabulary with ids up to next.
func (r *recipe) specials(next int32) (list []addedToken) {
	add := func(text string, id int32) {
		list = append(list, addedToken{content: text, normal: text, id: id, special: true})
	}
	for _, s := range r.Special {
		add(s.Token, s.ID)
	}
	for _, s := range r.Append {
		add(s, next)
		next++
	}
	if r.Times != nil {
		for i := range min(r.Times.Count, 1<<16) {
			add(fmt.Sprintf("<|%.2f|>", float64(i)*r.Times.Step), next)
			next++
		}
	}
	return list
}

// readRanks reads the lines. Tokens are spelt with a character for each byte; byRank is their ids in the order of rank.
func readRanks(name string, data []byte) (*vocabulary, []int32, error) {
	voc := &vocabulary{ids: map[string]int32{}}
	var byRank []int32
	line := 0
	for len(data) > 0 {
		line++
		var row []byte
		row, data, _ = bytes.Cut(data, []byte{'\n'})
		if row = bytes.TrimSpace(row); len(row) == 0 {
			continue
		}
		text, number, _ := bytes.Cut(row, []byte{' '})
		token, err := base64.StdEncoding.DecodeString(strings.TrimLeft(string(text), "=")) // "=" is the empty token
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %.40q is not a token in base64", name, line, text)
		}
		rank, err := strconv.ParseInt(string(number), 10, 32)
		if err != nil || rank < 0 || rank > maxID {
			return nil, nil, fmt.Errorf("%s:%d: %.40q is not a rank from 0 to %d", name, line, number, maxID)
		}
		if rank > sparse(line) {
			return nil, nil, fmt.Errorf("%s:%d: rank %d is absurd for %d tokens", name, line, rank, line)
		}
		if err := voc.add(string(appendByteRunes(nil, string(token))), int32(rank)); err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		byRank = append(byRank, int32(rank))
	}
	if len(byRank) == 0 {
		return nil, nil, fmt.Errorf("%s: has no tokens", name)
	}
	slices.Sort(byRank)
	return voc, byRank, nil
}

// mergesByRank sets the merges of a vocabulary in which any two tokens merge whose bytes together are a token, that of
// the lowest rank first. For each token it is enough to know the two that are left when all merges of lower rank are
// done.
func (b *bpe) mergesByRank(byRank []int32) {
	b.pairs = newPairTable(len(byRank))
	var s scratch
	for _, id := range byRank {
		token := b.voc.tokens[id]
		s.ids, s.lens = s.ids[:0], s.lens[:0]
		for _, r := range token {
			s.ids = append(s.ids, b.char(r))
		}
		if len(s.ids) < 2 {
			continue
		}
		if b.pairs.merge(&s); len(s.ids) == 2 {
			b.pairs.set(s.ids[0], s.ids[1], id, id)
		}
	}
}
