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
	Shape []int    `json:"-"` // of one example; 0 where a size has a name
	Names []string `json:"-"` // of its sizes; "" where they are numbers

	Images  *ImageInput `json:"-"` // how it is made of pictures; nil if it is not
	Sound   *SoundInput `json:"-"` // or of sound
	List    *List       `json:"-"` // rows may have fewer numbers; nil if they may not
	Classes []string    `json:"-"` // the names of classes that its numbers are; they are found with the examples if there are none
	// Tokens makes ids of a text that belongs to a picture; nil where there is no tokenizer.
	Tokens  func(text string) ([]int32, error) `json:"-"`
	Drop    float64                            `json:"-"` // how often a text is left out while training: that of nothing stands for it
	Empty   []int32                            `json:"-"` // the ids of that
	classed bool                               // it is classes as probabilities
}

// Examples are rows of numbers in memory. They do not change: any number of
// ExampleLoaders may use them.
type Examples struct {
	fields []Field
	floats [][]float32 // by field, if it is f32: [n, width]
	ints   [][]int32   // or i32
	lo, hi int         // of those that are used
	index  []int32     // what they are, if not all in order

	pictures [][]picture // by field, if it is made of them
	named    [][]string  // by field, of classes that have no numbers yet
	bucket   []uint16    // of each example, if pictures have several sizes
	sizes    [][2]int    // of the buckets: width, height
	dropped  Skipped     // pictures that no row speaks of, and why they are left out
	cuts     [][]string  // by field, the columns that say how a picture was cut
	total    int         // of examples, used or not
	// scattered says that those kept for validation are chosen at random, as of pictures.
	scattered bool
	lenient   bool        // what can't be decoded is left out
	report    func(error) // may be nil

	name    string // for errors
	files   []FileSum
	skipped Skipped
	key     string
}

// OpenExamples reads the columns of sources into the fields. Errors about rows
// are *RowError.
func OpenExamples(sources []Attr, fields []Field, o Options) (*Examples, error) {
	e := &Examples{fields: slices.Clone(fields), floats: make([][]float32, len(fields)), ints: make([][]int32, len(fields)),
		pictures: make([][]picture, len(fields)), named: make([][]string, len(fields))}
	digest := sha256.New()
	if err := errors.Join(e.checkImages(), e.checkLists()); err != nil {
		return nil, err
	}
	for i := range sources {
		a := &sources[i]
		if err := e.matches(a); err != nil {
			return nil, err
		}
		if a.OfFiles() {
			e.lenient, e.report = e.lenient || a.OnError == "skip", o.Report
			if err := e.readImages(a, &o); err != nil {
				return nil, err
			}
			continue
		}
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
	if err := e.settle(); err != nil {
		return nil, err
	}
	for _, f := range e.files {
		if e.ofFiles() {
			fmt.Fprintln(digest, f.SHA256)
		}
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
		if len(a.columns(&f)) == 0 {
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
	return e.cutting(a)
}

// add appends one row.
func (e *Examples) add(r Row, a *Attr) *RowError {
	if r.bad != nil {
		return r.bad
	}
	cells := make([]cell, len(e.fields))
	for i := range e.fields {
		f := &e.fields[i]
		var fault *RowError
		switch {
		case e.cuts[i] != nil:
			continue
		case a.OfFiles():
			cells[i], fault = e.imageCell(i, &r, a)
		default:
			cells[i], fault = e.cell(i, &r, a)
		}
		if fault == nil && f.List != nil {
			var err error
			if cells[i].numbers, err = f.filled(cells[i].numbers); err != nil {
				fault = bad(r.File, r.Line, strings.Join(a.columns(f), ", "), "%v", err).bad
			}
		}
		if fault == nil && cells[i].picture == nil && cells[i].class == "" {
			fault = f.holds(cells[i].numbers, &r, a)
		}
		if fault != nil {
			return fault
		}
	}
	if keep, fault := e.place(cells, &r); fault != nil || !keep {
		return fault
	}
	for i, f := range e.fields {
		c := &cells[i]
		switch {
		case c.picture != nil:
			e.pictures[i] = append(e.pictures[i], *c.picture)
		case c.class != "":
			e.named[i] = append(e.named[i], c.class)
		}
		for _, x := range c.numbers {
			if f.DType == ir.I32 {
				e.ints[i] = append(e.ints[i], int32(x))
			} else {
				e.floats[i] = append(e.floats[i], float32(x))
			}
		}
	}
	e.hi++
	e.total = e.hi
	return nil
}

// cell finds the numbers of an input in the columns of a row.
func (e *Examples) cell(i int, r *Row, a *Attr) (c cell, fault *RowError) {
	for _, column := range a.Columns[e.fields[i].Name] {
		x, ok := r.Values[column]
		if !ok {
			known := slices.Sorted(maps.Keys(r.Values))
			return c, bad(r.File, r.Line, column, "is missing%s", hint(column, known)).bad
		}
		var err error
		if l := e.fields[i].List; l != nil {
			c.numbers, err = l.append(c.numbers, x)
		} else {
			c.numbers, err = numbersOf(c.numbers, x)
		}
		if err != nil {
			return c, bad(r.File, r.Line, column, "%v", err).bad
		}
	}
	if how := a.Normalize[e.fields[i].Name]; how != nil {
		for k := range c.numbers {
			c.numbers[k] = (c.numbers[k] - how[0]) / how[1]
		}
	}
	return c, nil
}

// holds reports numbers that are not as many, or not of the kind, that an input wants.
func (f *Field) holds(numbers []float64, r *Row, a *Attr) *RowError {
	if n := len(numbers); n != f.Width {
		return bad(r.File, r.Line, strings.Join(a.columns(f), ", "), "%d numbers, want %d for %s", n, f.Width, f.Name).bad
	}
	for _, x := range numbers {
		if f.DType == ir.I32 && (x != math.Trunc(x) || math.Abs(x) > math.MaxInt32) {
			return bad(r.File, r.Line, strings.Join(a.columns(f), ", "), "%v is no whole number, which %s wants", x, f.Name).bad
		}
	}
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
	if (e.ofFiles() || e.scattered) && share > 0 {
		return e.scatter(share)
	}
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
func (e *Examples) Identity() string {
	if e.index != nil {
		return fmt.Sprintf("%s %d of %d", e.key, len(e.index), e.total)
	}
	return fmt.Sprintf("%s %d-%d", e.key, e.lo, e.hi)
}
