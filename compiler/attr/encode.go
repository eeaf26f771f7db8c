package attr

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Set is a field that a document must write to get an attribute: its name and
// its value as CUE.
type Set struct{ Name, CUE string }

// Encode lists what a document must write to get the attributes a, in the order
// of their declaration: the fields that have no default, and those of another
// value. Fields that documents can't set are an error, unless they are zero.
func Encode(a any) ([]Set, error) {
	fs, err := Fields(a)
	if err != nil || a == nil {
		return nil, err
	}
	v := reflect.ValueOf(a)
	fallback, err := Default(reflect.Zero(v.Type()).Interface())
	if err != nil {
		return nil, err
	}
	plain := reflect.ValueOf(fallback)
	declared := map[int]bool{}
	var out []Set
	for _, f := range fs {
		declared[f.index] = true
		if _, text := f.split(); text != "" && v.Field(f.index).Equal(plain.Field(f.index)) {
			continue
		}
		text, err := cueOf(v.Field(f.index).Interface())
		if kind, _ := f.split(); strings.HasPrefix(kind, "int") { // a number stands for a list of one
			if list, ok := v.Field(f.index).Interface().(Ints); ok && list != "" && !strings.Contains(string(list), ",") {
				text = string(list)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out = append(out, Set{f.Name, text})
	}
	for i := range v.NumField() {
		if !declared[i] && !v.Field(i).IsZero() {
			return nil, fmt.Errorf("%v.%s is %v, which no document can say", v.Type(), v.Type().Field(i).Name, v.Field(i))
		}
	}
	return out, nil
}

// cueOf writes the value of a comparable attribute.
func cueOf(x any) (string, error) {
	switch x := x.(type) {
	case Ints:
		return "[" + strings.ReplaceAll(string(x), ",", ", ") + "]", nil
	case Floats:
		return "[" + strings.ReplaceAll(string(x), ",", ", ") + "]", nil
	case Dims:
		var parts []string
		for s := range strings.SplitSeq(string(x), ",") {
			if _, err := strconv.Atoi(s); err != nil && s != "" {
				s = strconv.Quote(s)
			}
			parts = append(parts, s)
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case string:
		return strconv.Quote(x), nil
	case bool, int:
		return fmt.Sprint(x), nil
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64), nil
	}
	return "", fmt.Errorf("%T has no form in documents", x)
}
