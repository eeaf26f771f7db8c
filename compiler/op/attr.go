package op

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"pipe.dev/compiler/ir"
)

// Attribute structs are comparable, so that equal nodes can be found by ==.
// Each field that documents set carries a tag with its CUE field and a doc:
//
//	Eps float64 `cue:"eps: number & >=0 | *1e-6" doc:"added to the mean square"`
//
// The name before the first of ! ? : is the field's name in documents. A field
// without a cue tag is set by the compiler only.

// Ints is a list of integers in a comparable form: "0,2,1".
type Ints string

// MakeInts returns the list of vs.
func MakeInts(vs ...int) Ints {
	s := make([]string, len(vs))
	for i, v := range vs {
		s[i] = strconv.Itoa(v)
	}
	return Ints(strings.Join(s, ","))
}

// Slice returns the list.
func (l Ints) Slice() []int {
	if l == "" {
		return nil
	}
	var out []int
	for s := range strings.SplitSeq(string(l), ",") {
		v, err := strconv.Atoi(s)
		if err != nil {
			panic("op: malformed Ints " + string(l))
		}
		out = append(out, v)
	}
	return out
}

// Dims is a shape in a comparable form: "batch,seq,8,64". A "-1" stands for
// what is left, where an op allows it.
type Dims string

// MakeDims returns the shape of ds.
func MakeDims(ds ...ir.Dim) Dims {
	s := make([]string, len(ds))
	for i, d := range ds {
		s[i] = d.String()
	}
	return Dims(strings.Join(s, ","))
}

// Slice returns the shape; -1 becomes the Dim of N -1.
func (l Dims) Slice() ([]ir.Dim, error) {
	if l == "" {
		return nil, nil
	}
	var out []ir.Dim
	for s := range strings.SplitSeq(string(l), ",") {
		if s == "-1" {
			out = append(out, ir.D(-1))
			continue
		}
		d, err := ir.ParseDim(s)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// Bind replaces named sizes by numbers in every Dims of an attribute struct.
func Bind(attr any, sizes map[string]int) any {
	if attr == nil {
		return nil
	}
	v := reflect.ValueOf(attr)
	if v.Kind() != reflect.Struct {
		return attr
	}
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
			ds[k] = d.Bind(sizes)
		}
		if !out.IsValid() {
			out = reflect.New(v.Type()).Elem()
			out.Set(v)
		}
		out.Field(i).SetString(string(MakeDims(ds...)))
	}
	if !out.IsValid() {
		return attr
	}
	return out.Interface()
}

// Field describes one attribute that documents may set.
type Field struct {
	Name  string // in documents
	CUE   string // the whole CUE field: "eps: number | *1e-6"
	Doc   string
	index int
}

// Fields lists the attributes that documents may set.
func (d *Def) Fields() []Field {
	if d.Attr == nil {
		return nil
	}
	fs, err := fields(d.Attr)
	if err != nil {
		panic(err) // NewTable checked it
	}
	return fs
}

func fields(attr any) ([]Field, error) {
	t := reflect.TypeOf(attr)
	if t.Kind() != reflect.Struct || !t.Comparable() {
		return nil, fmt.Errorf("attribute %v is not a comparable struct", t)
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

// Decode fills d's attribute struct from the fields of a document's node, as
// encoding/json decodes them with UseNumber. Fields it does not know are left
// alone; the schema has checked them.
func (d *Def) Decode(m map[string]any) (any, error) {
	if d.Attr == nil {
		return nil, nil
	}
	out := reflect.New(reflect.TypeOf(d.Attr)).Elem()
	out.Set(reflect.ValueOf(d.Attr))
	for _, f := range d.Fields() {
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
	switch v.Interface().(type) {
	case Ints, Dims:
		list, ok := x.([]any)
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
	}
	return fmt.Errorf("want %v, have %v", v.Kind(), x)
}

func assignNumber(v reflect.Value, y json.Number) error {
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
		return fmt.Errorf("want %v, have %v", v.Kind(), y)
	}
	return nil
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
