// Package attr reads attribute structs: the Go structs that declare, once,
// which fields a document may give an op or a stage.
//
// Each field that documents set carries a tag with its CUE field and a doc:
//
//	Eps float64 `cue:"eps: number & >=0 | *1e-6" doc:"added to the mean square"`
//
// The name before the first of ! ? : is the field's name in documents. A field
// without a cue tag is not for documents. The package validates nothing: the
// schema does.
package attr

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Field describes one attribute that documents may set.
type Field struct {
	Name  string // in documents
	CUE   string // the whole CUE field: "eps: number | *1e-6"
	Doc   string
	index int
}

// Fields lists the attributes of a struct that documents may set, in order. A
// field with a cue tag and no doc tag is an error.
func Fields(attr any) ([]Field, error) {
	if attr == nil {
		return nil, nil
	}
	t := reflect.TypeOf(attr)
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("attributes %v are not a struct", t)
	}
	var out []Field
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("cue")
		if tag == "" {
			continue
		}
		end := strings.IndexAny(tag, "!?:")
		if end <= 0 || f.Tag.Get("doc") == "" {
			return nil, fmt.Errorf("field %s of %v: want a cue tag and a doc tag", f.Name, t)
		}
		out = append(out, Field{Name: tag[:end], CUE: tag, Doc: f.Tag.Get("doc"), index: i})
	}
	return out, nil
}

// Describe splits the CUE text of a field into its type and its default, as
// Markdown.
func (f Field) Describe() (kind, fallback string) {
	kind, fallback = f.split()
	if fallback == "" {
		return "`" + kind + "`", "must be given"
	}
	return "`" + kind + "`", "`" + fallback + "`"
}

// split gives the alternatives of a field and the one marked by * as its
// default, "" if none is. Among strings the default is an alternative too.
func (f Field) split() (kind, fallback string) {
	_, text, _ := strings.Cut(f.CUE, ":")
	var kept []string
	at, strs := 0, true
	for _, a := range alternatives(text) {
		d, ok := strings.CutPrefix(a, "*")
		strs = strs && strings.HasPrefix(d, "\"")
		if ok {
			fallback, at = d, len(kept)
		} else {
			kept = append(kept, a)
		}
	}
	if fallback != "" && strs && !slices.Contains(kept, fallback) {
		kept = slices.Insert(kept, at, fallback)
	}
	return strings.Join(kept, " | "), fallback
}

// alternatives splits a CUE expression at each | outside of brackets and strings.
func alternatives(text string) []string {
	var out []string
	depth, start, quoted := 0, 0, false
	for i, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case strings.ContainsRune("([{", c):
			depth++
		case strings.ContainsRune(")]}", c):
			depth--
		case c == '|' && depth == 0:
			out = append(out, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
	}
	return append(out, strings.TrimSpace(text[start:]))
}

// Decode returns a copy of zero with the fields of a document's node, as
// encoding/json decodes them with UseNumber. Fields that zero lacks are left
// alone.
func Decode(zero any, m map[string]any) (any, error) {
	fs, err := Fields(zero)
	if err != nil || zero == nil {
		return zero, err
	}
	out := reflect.New(reflect.TypeOf(zero)).Elem()
	out.Set(reflect.ValueOf(zero))
	for _, f := range fs {
		x, ok := m[f.Name]
		if !ok {
			continue
		}
		if err := assign(out.Field(f.index), x); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return out.Interface(), nil
}

func assign(v reflect.Value, x any) error {
	if v.Kind() == reflect.Interface {
		v.Set(reflect.ValueOf(x))
		return nil
	}
	switch v.Interface().(type) {
	case Ints, Floats, Dims:
		list, ok := x.([]any)
		if y, one := x.(json.Number); one { // a list of one, where the schema lets a number stand for it
			_, err := y.Int64()
			list, ok = []any{y}, err == nil
		}
		if !ok {
			return fmt.Errorf("want a list, have %v", x)
		}
		s := make([]string, len(list))
		for i, e := range list {
			s[i] = fmt.Sprint(e)
		}
		v.SetString(strings.Join(s, ","))
		return nil
	}
	switch y := x.(type) {
	case string:
		if v.Kind() == reflect.String {
			v.SetString(y)
			return nil
		}
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(y)
			return nil
		}
	case json.Number:
		return assignNumber(v, y)
	case []any:
		if v.Kind() == reflect.Slice {
			list := reflect.MakeSlice(v.Type(), len(y), len(y))
			for i, e := range y {
				if err := assign(list.Index(i), e); err != nil {
					return fmt.Errorf("[%d]: %w", i, err)
				}
			}
			v.Set(list)
			return nil
		}
		if v.Kind() == reflect.Array {
			if len(y) != v.Len() {
				return fmt.Errorf("%d entries, want %d", len(y), v.Len())
			}
			for i, e := range y {
				if err := assign(v.Index(i), e); err != nil {
					return fmt.Errorf("[%d]: %w", i, err)
				}
			}
			return nil
		}
	case map[string]any:
		if v.Kind() == reflect.Map {
			made := reflect.MakeMap(v.Type())
			for k, e := range y {
				to := reflect.New(v.Type().Elem()).Elem()
				if err := assign(to, e); err != nil {
					return fmt.Errorf("%s: %w", k, err)
				}
				made.SetMapIndex(reflect.ValueOf(k), to)
			}
			v.Set(made)
			return nil
		}
	}
	return fmt.Errorf("want %v, have %v", v.Type(), x)
}

func assignNumber(v reflect.Value, y json.Number) error {
	if i, err := y.Int64(); err == nil && v.CanInt() {
		v.SetInt(i)
		return nil
	}
	f, err := y.Float64()
	if err != nil {
		return err
	}
	switch {
	case v.Kind() == reflect.Float64:
		v.SetFloat(f)
	case v.CanInt() && f == float64(int64(f)):
		v.SetInt(int64(f))
	default:
		return fmt.Errorf("want %v, have %v", v.Type(), y)
	}
	return nil
}
