package tokenizer

import (
	"slices"
	"strconv"
)

// special is a special token as tokenizer_config.json has it: a text, or {"content": ..., "lstrip": ...}.
type special struct {
	content string
	flags   map[string]any // of a tokenizer.json
}

// readSpecial reads one; ok is false where there is none.
func readSpecial(v value) (s special, ok bool, err error) {
	if v.absent() {
		return s, false, nil
	}
	s.flags = map[string]any{}
	if v.kind() != '{' {
		s.content, err = v.str()
		return s, err == nil, err
	}
	o, err := v.object()
	if err != nil {
		return s, false, err
	}
	if v, err = o.need("content"); err != nil {
		return s, false, err
	}
	if s.content, err = v.str(); err != nil {
		return s, false, err
	}
	for _, flag := range []string{"lstrip", "rstrip", "single_word", "normalized"} {
		if o.byName[flag].absent() {
			continue
		}
		if s.flags[flag], err = o.boolean(flag, false); err != nil {
			return s, false, err
		}
	}
	return s, true, nil
}

// readTokens settles the special tokens: what tokenizer_config.json says, else special_tokens_map.json, else the recipe.
func (b *bare) readTokens() error {
	other, err := besides(b.folder, "special_tokens_map.json")
	if err != nil {
		return err
	}
	for _, key := range tokenKeys {
		s := special{content: b.recipe.Tokens[key]}
		ok := s.content != ""
		for _, from := range []object{other, b.config} {
			v, there := from.byName[key]
			if there && v.absent() { // null: there is none
				s, ok = special{}, false
			}
			if found, has, err := readSpecial(v); err != nil {
				return err
			} else if has {
				s, ok = found, true
			}
		}
		if ok {
			b.tokens[key] = s.content
		}
	}
	return nil
}

// addTokens adds added_tokens_decoder of tokenizer_config.json and added_tokens.json with their ids, then the special tokens,
// those that the vocabulary lacks with the next ids.
func (b *bare) addTokens() error {
	if err := b.addNumbered(); err != nil {
		return err
	}
	for _, key := range tokenKeys {
		content := b.tokens[key]
		if content == "" {
			continue
		}
		s, _, err := readSpecial(b.config.byName[key])
		if err != nil {
			return err
		}
		if s.content != content {
			s = special{content: content}
		}
		if err := b.addOne(s, true); err != nil {
			return err
		}
	}
	return nil
}

// addNumbered adds tokens whose ids are given.
func (b *bare) addNumbered() error {
	type numbered struct {
		id int32
		s  special
		is bool // special
		at value
	}
	var list []numbered
	if v := b.config.byName["added_tokens_decoder"]; !v.absent() {
		if err := v.fields(func(key string, token value) error {
			id, err := strconv.ParseInt(key, 10, 32)
			if err != nil || id < 0 || id > maxID {
				return token.errorf("%.40q is no id", key)
			}
			s, ok, err := readSpecial(token)
			if err != nil || !ok {
				return err
			}
			o, err := token.object()
			if err != nil {
				return err
			}
			is, err := o.boolean("special", false)
			list = append(list, numbered{int32(id), s, is, token})
			return err
		}); err != nil {
			return err
		}
	}
	extra, err := besides(b.folder, "added_tokens.json")
	if err != nil {
		return err
	}
	for token, v := range extra.byName {
		id, err := v.integer()
		if err != nil {
			return err
		}
		list = append(list, numbered{id, special{content: token}, false, v})
	}
	slices.SortFunc(list, func(x, y numbered) int { return int(x.id) - int(y.id) })
	for _, n := range list {
		if id, ok := b.vocab[n.s.content]; ok && id != n.id {
			return n.at.errorf("token %.60q has id %d here and %d in %s", n.s.content, n.id, id, b.file)
		}
		if int64(n.id) > sparse(len(b.vocab)+len(list)) {
			return n.at.errorf("id %d is absurd for a vocabulary of %d tokens", n.id, len(b.vocab))
		}
		b.enter(n.s.content, n.id)
		if err := b.addOne(n.s, n.is); err != nil {
			return err
		}
	}
	return nil
}

// addOne makes a token one that is found in texts before all else; of two entries for one the first stands.
func (b *bare) addOne(s special, is bool) error {
	id, ok := b.vocab[s.content]
	if !ok {
		id = b.next
		b.enter(s.content, id)
	}
	for _, a := range b.added {
		if a["content"] == s.content {
			return nil
		}
	}
	a := map[string]any{"id": id, "content": s.content, "special": is, "normalized": !is}
	for flag, v := range s.flags {
		a[flag] = v
	}
	b.added = append(b.added, a)
	return nil
}
