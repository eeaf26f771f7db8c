package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"pipe.dev/compiler/ir"
)

// Columns is the format of rows that are numbers, not text.
const Columns = "columns"

// Field is an input of a model that examples give.
type Field struct {
	Name  string
	DType ir.DType // f32 or i32
	Width int      // numbers of one example
}

// Examples are rows of numbers in memory. They do not change: any number of
// ExampleLoaders may use them.
type Examples struct {
	fields  []Field
	floats  [][]float32 // by field, if it is f32: [n, width]
	ints    [][]int32   // or i32
	lo, hi  int         // of those that are used
	name    string      // for errors
	files   []FileSum
	skipped Skipped
	key     string
}

// OpenExamples reads the columns of sources into the fields. Errors about rows
// are *RowError.
func OpenExamples(sources []Attr, fields []Field, o Options) (*Examples, error) {
	e := &Examples{fields: fields, floats: make([][]float32, len(fields)), ints: make([][]int32, len(fields))}
	digest := sha256.New()
	for i := range sources {
		a := &sources[i]
		files, err := o.files(a)
		if err != nil {
			return nil, err
		}
		if e.name == "" {
			e.name = files[0]
		}
		sums, err := sumsOf(files)
		if err != nil {
			return nil, err
		}
		e.files = append(e.files, sums...)
		if err := e.matches(a); err != nil {
			return nil, err
		}
		err = rows(files, a, func(r Row) error {
			fault := e.add(r, a)
			if fault == nil {
				return nil
			}
			if a.OnError != "skip" {
				return fault
			}
			e.skipped.add(fault)
			if o.Report != nil {
				o.Report(fault)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if e.hi == 0 {
		return nil, errorf(e.name, "the source has no example that can be used; %d rows were skipped", e.skipped.Rows)
	}
	for i, f := range fields {
		fmt.Fprintf(digest, "%s %d\n", f.Name, f.Width)
		for _, x := range [...]any{e.ints[i], e.floats[i]} {
			if err := binary.Write(digest, binary.LittleEndian, x); err != nil {
				return nil, err
			}
		}
	}
	e.key = hex.EncodeToString(digest.Sum(nil))
	return e, nil
}

// matches holds the columns of a source against the fields.
func (e *Examples) matches(a *Attr) error {
	var names []string
	for _, f := range e.fields {
		names = append(names, f.Name)
		if len(a.Columns[f.Name]) == 0 {
			return optionErrorf("columns", "give none for %s, an input of the model", f.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Normalize)) {
		if !slices.Contains(names, name) {
			return optionErrorf("normalize", "%q is no input of the model; its inputs are %s%s", name, strings.Join(names, ", "), hint(name, names))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Columns)) {
		if !slices.Contains(names, name) {
			return optionErrorf("columns", "%q is no input of the model; its inputs are %s%s", name, strings.Join(names, ", "), hint(name, names))
		}
	}
	return nil
}

// add appends one row.
func (e *Examples) add(r Row, a *Attr) *RowError {
	if r.bad != nil {
		return r.bad
	}
	values := make([][]float64, len(e.fields))
	for i, f := range e.fields {
		for _, column := range a.Columns[f.Name] {
			x, ok := r.Values[column]
			if !ok {
				known := slices.Sorted(maps.Keys(r.Values))
				return bad(r.File, r.Line, column, "is missing%s", hint(column, known)).bad
			}
			var err error
			if values[i], err = numbersOf(values[i], x); err != nil {
				return bad(r.File, r.Line, column, "%v", err).bad
			}
		}
		if n := len(values[i]); n != f.Width {
			return bad(r.File, r.Line, strings.Join(a.Columns[f.Name], ", "), "%d numbers, want %d for %s", n, f.Width, f.Name).bad
		}
		if how := a.Normalize[f.Name]; how != nil {
			for k := range values[i] {
				values[i][k] = (values[i][k] - how[0]) / how[1]
			}
		}
		for _, x := range values[i] {
			if f.DType == ir.I32 && (x != math.Trunc(x) || math.Abs(x) > math.MaxInt32) {
				return bad(r.File, r.Line, strings.Join(a.Columns[f.Name], ", "), "%v is no whole number, which %s wants", x, f.Name).bad
			}
		}
	}
	for i, f := range e.fields {
		for _, x := range values[i] {
			if f.DType == ir.I32 {
				e.ints[i] = append(e.ints[i], int32(x))
			} else {
				e.floats[i] = append(e.floats[i], float32(x))
			}
		}
	}
	e.hi++
	return nil
}

// numbersOf appends the numbers of a value: one, or a list of lists.
func numbersOf(to []float64, x any) ([]float64, error) {
	var err error
	switch x := x.(type) {
	case float64:
		return append(to, x), nil
	case int64:
		return append(to, float64(x)), nil
	case bool:
		if x {
			return append(to, 1), nil
		}
		return append(to, 0), nil
	case string:
		v, err := strconv.ParseFloat(strings.TrimSpace(x), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%q is no number", clip(x))
		}
		return append(to, v), nil
	case []float64:
		return append(to, x...), nil
	case []any:
		for _, y := range x {
			if to, err = numbersOf(to, y); err != nil {
				return nil, err
			}
		}
		return to, nil
	case nil:
		return nil, errors.New("is null, want a number")
	}
	return nil, fmt.Errorf("is %T, want numbers", x)
}

// Split keeps a share at the end for validation, which is nil if it is none.
func (e *Examples) Split(share float64) (train, validation *Examples) {
	front, back := *e, *e
	front.hi = e.lo + int(math.Round(float64(e.hi-e.lo)*(1-share)))
	back.lo = front.hi
	if back.lo >= back.hi {
		return &front, nil
	}
	return &front, &back
}

// Len is how many examples there are.
func (e *Examples) Len() int { return e.hi - e.lo }

// Name is the first file.
func (e *Examples) Name() string { return e.name }

// Files are the files that the examples were read from, by what they hold.
func (e *Examples) Files() []FileSum { return e.files }

// Skipped says which rows were left out.
func (e *Examples) Skipped() Skipped { return e.skipped }

// Identity is a hash of the values.
func (e *Examples) Identity() string { return fmt.Sprintf("%s %d-%d", e.key, e.lo, e.hi) }
