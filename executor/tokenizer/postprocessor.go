package tokenizer

// wrap is what a post-processor puts around a text: ids before and ids after it.
type wrap struct{ before, after []int32 }

func postProcessors() []kind[wrap] {
	return []kind[wrap]{
		{"BertProcessing", readClassSeparator},
		{"ByteLevel", func(*config, object) (wrap, error) { return wrap{}, nil }}, // moves offsets only
		{"RobertaProcessing", readClassSeparator},
		{"Sequence", readPostSequence},
		{"TemplateProcessing", readTemplate},
	}
}

func readPostSequence(c *config, o object) (wrap, error) {
	parts, err := sequence(c, o, "processors", postProcessors)
	var w wrap
	for _, p := range parts {
		w.before = append(append([]int32(nil), p.before...), w.before...)
		w.after = append(w.after, p.after...)
	}
	return w, err
}

// readTemplate reads the template for one text, in which the text must come once.
func readTemplate(_ *config, o object) (wrap, error) {
	var w wrap
	special := map[string][]int32{}
	if tokens := o.byName["special_tokens"]; !tokens.absent() {
		err := tokens.fields(func(name string, token value) error {
			ids, err := templateIDs(token)
			special[name] = ids
			return err
		})
		if err != nil {
			return w, err
		}
	}
	single, err := o.need("single")
	if err != nil {
		return w, err
	}
	texts := 0
	err = single.items(func(piece value) error {
		p, err := piece.object()
		if err != nil {
			return err
		}
		if !p.byName["Sequence"].absent() {
			texts++
			return nil
		}
		ids, err := templateToken(p, special)
		if texts == 0 {
			w.before = append(w.before, ids...)
		} else {
			w.after = append(w.after, ids...)
		}
		return err
	})
	if err == nil && texts != 1 {
		err = single.errorf("has the text %d times, want once", texts)
	}
	return w, err
}

// templateToken is the ids of a piece {"SpecialToken": {"id": name}}.
func templateToken(piece object, special map[string][]int32) ([]int32, error) {
	token, err := piece.need("SpecialToken")
	if err != nil {
		return nil, err
	}
	t, err := token.object()
	if err != nil {
		return nil, err
	}
	name, err := t.str("id")
	if err != nil {
		return nil, err
	}
	ids, known := special[name]
	if !known {
		return nil, token.errorf("%.60q is not among special_tokens", name)
	}
	return ids, nil
}

// templateIDs is the ids of an entry of special_tokens.
func templateIDs(token value) ([]int32, error) {
	t, err := token.object()
	if err != nil {
		return nil, err
	}
	list, err := t.need("ids")
	if err != nil {
		return nil, err
	}
	var ids []int32
	err = list.items(func(id value) error {
		n, err := id.integer()
		ids = append(ids, n)
		return err
	})
	return ids, err
}

// readClassSeparator puts the token "cls" before and "sep" after the text; each is [content, id].
func readClassSeparator(_ *config, o object) (wrap, error) {
	var ids [2]int32
	for i, name := range [...]string{"cls", "sep"} {
		v, err := o.need(name)
		if err != nil {
			return wrap{}, err
		}
		n := 0
		err = v.items(func(item value) error {
			var err error
			if n++; n == 2 {
				ids[i], err = item.integer()
			}
			return err
		})
		if err == nil && n != 2 {
			err = v.errorf("has %d items, want a token and its id", n)
		}
		if err != nil {
			return wrap{}, err
		}
	}
	return wrap{ids[:1], ids[1:]}, nil
}
