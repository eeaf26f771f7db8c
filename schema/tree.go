package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// object is a JSON object that keeps the order of its fields.
type object struct {
	keys   []string
	fields map[string]any
}

func (o *object) get(key string) any { return o.fields[key] }

func (o *object) text(key string) string {
	s, _ := o.fields[key].(string)
	return s
}

func (o *object) object(key string) *object {
	x, _ := o.fields[key].(*object)
	if x == nil {
		x = &object{}
	}
	return x
}

func (o *object) texts(key string) []string {
	list, _ := o.fields[key].([]any)
	var out []string
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// textMap is a field of strings by name; nil if there are none.
func (o *object) textMap(key string) map[string]string {
	of := o.object(key)
	var out map[string]string
	for _, name := range of.keys {
		if out == nil {
			out = map[string]string{}
		}
		out[name] = of.text(name)
	}
	return out
}

func (o *object) int(key string) int {
	n, _ := o.fields[key].(json.Number)
	i, _ := n.Int64()
	return int(i)
}

func (o *object) set(key string, value any) {
	if o.fields == nil {
		o.fields = map[string]any{}
	}
	if _, ok := o.fields[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.fields[key] = value
}

// plain turns objects into maps, all the way down.
func plain(x any) any {
	switch x := x.(type) {
	case *object:
		m := make(map[string]any, len(x.keys))
		for _, k := range x.keys {
			m[k] = plain(x.fields[k])
		}
		return m
	case []any:
		list := make([]any, len(x))
		for i := range x {
			list[i] = plain(x[i])
		}
		return list
	}
	return x
}

// parseTree reads one JSON value: *object, []any, string, json.Number, bool or nil.
func parseTree(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return treeValue(d)
}

func treeValue(d *json.Decoder) (any, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('{'):
		o := &object{fields: map[string]any{}}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := treeValue(d)
			if err != nil {
				return nil, err
			}
			o.set(fmt.Sprint(key), value)
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			x, err := treeValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, x)
		}
		_, err := d.Token()
		return list, err
	}
	return tok, nil
}
