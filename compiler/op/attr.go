package op

import (
	"fmt"
	"reflect"
	"slices"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
)

// Ints, Floats and Dims are the lists in attribute structs, in a comparable form.
type (
	Ints   = attr.Ints
	Floats = attr.Floats
	Dims   = attr.Dims
)

// MakeInts returns the list of vs.
func MakeInts(vs ...int) Ints { return attr.MakeInts(vs...) }

// MakeDims returns the shape of ds.
func MakeDims(ds ...ir.Dim) Dims { return attr.MakeDims(ds...) }

// checkAttr checks an attribute struct: documented, and comparable, so that
// equal nodes can be found by ==.
func checkAttr(a any) error {
	if a == nil {
		return nil
	}
	if t := reflect.TypeOf(a); !t.Comparable() {
		return fmt.Errorf("attributes %v are not comparable", t)
	}
	_, err := attr.Fields(a)
	return err
}

// Fields lists the attributes that documents may set.
func (d *Def) Fields() []attr.Field {
	fs, err := attr.Fields(d.Attr)
	if err != nil {
		panic(err) // NewTable checked it
	}
	return fs
}

// Decode fills d's attribute struct from the fields of a document's node, as
// encoding/json decodes them with UseNumber.
func (d *Def) Decode(m map[string]any) (any, error) { return attr.Decode(d.Attr, m) }

// Bind replaces named sizes by numbers in every Dims of an attribute struct.
func Bind(a any, sizes map[string]int) any {
	return Resize(a, func(d ir.Dim) ir.Dim { return d.Bind(sizes) })
}

// Resize replaces every size in the Dims of an attribute struct.
func Resize(a any, size func(ir.Dim) ir.Dim) any {
	if a == nil {
		return nil
	}
	v := reflect.ValueOf(a)
	var out reflect.Value
	for i := range v.NumField() {
		l, ok := v.Field(i).Interface().(Dims)
		if !ok || l == "" {
			continue
		}
		ds, err := l.Slice()
		if err != nil {
			continue // Infer reports it
		}
		for k, d := range ds {
			ds[k] = size(d)
		}
		if !out.IsValid() {
			out = reflect.New(v.Type()).Elem()
			out.Set(v)
		}
		out.Field(i).SetString(string(MakeDims(ds...)))
	}
	if !out.IsValid() {
		return a
	}
	return out.Interface()
}

// axis turns a possibly negative axis into an index below rank.
func axis(a, rank int) (int, error) {
	if a < -rank || a >= rank {
		return 0, fmt.Errorf("axis %d is out of range for %d axes", a, rank)
	}
	if a < 0 {
		a += rank
	}
	return a, nil
}

// axes turns a list of axes into sorted indices; none means all.
func axes(l Ints, rank int) ([]int, error) {
	var out []int
	for _, a := range l.Slice() {
		i, err := axis(a, rank)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, i) {
			return nil, fmt.Errorf("axis %d is named twice", a)
		}
		out = append(out, i)
	}
	if l == "" {
		for i := range rank {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return out, nil
}
