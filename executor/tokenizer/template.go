package tokenizer

// template is a list of tokens and texts, one for one text and one for two.
type template struct{ single, pair []templatePiece }

// templatePiece is a text by its number, or tokens.
type templatePiece struct {
	text   int // -1: tokens
	kind   int32
	ids    []int32
	tokens []string
}

func readTemplate(_ *config, o object) (postProcessor, error) {
	special := map[string]templatePiece{}
	if tokens := o.byName["special_tokens"]; !tokens.absent() {
		err := tokens.fields(func(name string, token value) error {
			p, err := templateTokens(token)
			special[name] = p
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	t := &template{}
	single, err := o.need("single")
	if err != nil {
		return nil, err
	}
	if t.single, err = readTemplatePieces(single, special, 1); err != nil {
		return nil, err
	}
	if v := o.byName["pair"]; !v.absent() {
		t.pair, err = readTemplatePieces(v, special, 2)
	}
	return t, err
}

// readTemplatePieces reads a template in which each of so many texts must come once.
func readTemplatePieces(list value, special map[string]templatePiece, texts int) ([]templatePiece, error) {
	var pieces []templatePiece
	times := [2]int{}
	err := list.items(func(item value) error {
		o, err := item.object()
		if err != nil {
			return err
		}
		p, err := readTemplatePiece(o, special)
		if p.text >= 0 {
			times[p.text]++
		}
		pieces = append(pieces, p)
		return err
	})
	for i, n := range times {
		want := 0
		if i < texts {
			want = 1
		}
		switch {
		case err != nil || n == want:
		case texts == 1 && i == 0:
			err = list.errorf("has the text %d times, want once", n)
		case texts == 1:
			err = list.errorf("has a second text")
		default:
			err = list.errorf("has text %c %d times, want once", 'A'+i, n)
		}
	}
	return pieces, err
}

// readTemplatePiece reads {"Sequence": {"id": "A"}} or {"SpecialToken": {"id": name}}, each with a type_id.
func readTemplatePiece(o object, special map[string]templatePiece) (templatePiece, error) {
	v, text := o.byName["Sequence"], true
	if v.absent() {
		var err error
		if v, err = o.need("SpecialToken"); err != nil {
			return templatePiece{text: -1}, err
		}
		text = false
	}
	p := templatePiece{text: -1}
	t, err := v.object()
	if err != nil {
		return p, err
	}
	kind, err := t.count("type_id")
	if err != nil {
		return p, err
	}
	if text {
		id, err := t.choice("id", "A", "B")
		if id == "B" {
			p.text = 1
		} else {
			p.text = 0
		}
		p.kind = int32(kind)
		return p, err
	}
	name, err := t.str("id")
	if err != nil {
		return p, err
	}
	p, known := special[name]
	if !known {
		return templatePiece{text: -1}, v.errorf("%.60q is not among special_tokens", name)
	}
	p.kind = int32(kind)
	return p, nil
}

// templateTokens is an entry of special_tokens.
func templateTokens(token value) (templatePiece, error) {
	p := templatePiece{text: -1}
	t, err := token.object()
	if err != nil {
		return p, err
	}
	list, err := t.need("ids")
	if err != nil {
		return p, err
	}
	if err := list.items(func(id value) error {
		n, err := id.integer()
		p.ids = append(p.ids, n)
		return err
	}); err != nil {
		return p, err
	}
	p.tokens = make([]string, len(p.ids))
	if v := t.byName["tokens"]; !v.absent() {
		n := 0
		err = v.items(func(item value) error {
			s, err := item.str()
			if n < len(p.tokens) {
				p.tokens[n] = s
			}
			n++
			return err
		})
		if err == nil && n != len(p.ids) {
			err = v.errorf("has %d tokens for %d ids", n, len(p.ids))
		}
	}
	return p, err
}

func (t *template) ids(f func(int32)) {
	for _, list := range [][]templatePiece{t.single, t.pair} {
		for _, p := range list {
			for _, id := range p.ids {
				f(id)
			}
		}
	}
}

func (t *template) process(list []*Encoding, special bool) []*Encoding {
	pieces := t.single
	if len(list) > 1 {
		if pieces = t.pair; pieces == nil {
			return list
		}
	}
	var out []*Encoding
	for _, p := range pieces {
		if p.text >= 0 {
			e := list[p.text]
			for i := range e.Types {
				e.Types[i] = p.kind
			}
			out = append(out, e)
			continue
		}
		for i, id := range p.ids {
			if special {
				out = append(out, repeated(id, p.tokens[i], p.kind, 1, true))
			}
		}
	}
	return out
}
