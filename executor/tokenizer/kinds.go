package tokenizer

import (
	"fmt"
	"strings"

	"pipe.dev/internal/suggest"
)

// kind is a row of a table of normalizers, pre-tokenizers, models, post-processors or decoders: the "type" that a
// tokenizer.json gives and the function that reads its attributes.
type kind[T any] struct {
	name string
	read func(c *config, o object) (T, error)
}

// config is what readers of kinds need besides their own attributes.
type config struct {
	classes  *classes // of runes, shared by all scanners
	bytewise bool     // the byte-level pre-tokenizer comes last: to bpe, words come as plain bytes, its characters implied
}

// pick reads v by the row of the table that its "type" names.
func pick[T any](c *config, v value, table func() []kind[T]) (T, error) {
	o, err := v.object()
	if err != nil {
		var none T
		return none, err
	}
	return pickObject(c, o, table)
}

func pickObject[T any](c *config, o object, table func() []kind[T]) (T, error) {
	var none T
	t, err := o.need("type")
	if err != nil {
		return none, err
	}
	name, err := t.str()
	if err != nil {
		return none, err
	}
	rows := table()
	known := make([]string, len(rows))
	for i, row := range rows {
		if row.name == name {
			return row.read(c, o)
		}
		known[i] = row.name
	}
	return none, t.errorf("%.60q is not known%s; known are %s", name, nearest(name, known), strings.Join(known, ", "))
}

// optional reads a field by the table, if it is there.
func optional[T any](c *config, o object, key string, table func() []kind[T], to *T) (err error) {
	if v := o.byName[key]; !v.absent() {
		*to, err = pick(c, v, table)
	}
	return err
}

// sequence reads the items of an array field, each by the table.
func sequence[T any](c *config, o object, key string, table func() []kind[T]) ([]T, error) {
	list, err := o.need(key)
	if err != nil {
		return nil, err
	}
	var all []T
	err = list.items(func(item value) error {
		one, err := pick(c, item, table)
		all = append(all, one)
		return err
	})
	return all, err
}

// nearest is a suggestion for a misspelt name, or "".
func nearest(name string, known []string) string {
	if near := suggest.Nearest(name, known); near != "" {
		return fmt.Sprintf(", did you mean %q", near)
	}
	return ""
}
