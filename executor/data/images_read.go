package data

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
)

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// probed is how many pictures are looked at between rows that are taken in order.
const probed = 256

// imageReader takes the rows of a source of pictures.
type imageReader struct {
	e     *Examples
	a     *Attr
	o     *Options
	used  []string          // columns of pictures
	how   map[string]*Field // the input that a column makes
	wait  []Row
	sums  [][]byte // of the rows that wait
	hash  hash.Hash
	done  int
	total int
}

// readImages adds the pictures of a source, and what belongs to them. Their headers are read, so that what is damaged, too large or missing is
// known before training.
func (e *Examples) readImages(a *Attr, o *Options) error {
	roots, err := imageRoots(o.Root, a.Files, a.media())
	if err != nil {
		return err
	}
	if e.name == "" {
		e.name = roots[0].path
	}
	r := &imageReader{e: e, a: a, o: o, how: map[string]*Field{}}
	for _, root := range roots {
		r.total += len(root.list)
	}
	for i := range e.fields {
		f := &e.fields[i]
		if !f.ofFile() {
			continue
		}
		column := a.columns(f)[0]
		if r.how[column] = f; !slices.Contains(r.used, column) {
			r.used = append(r.used, column)
		}
	}
	for i := range roots {
		r.hash = sha256.New()
		err := roots[i].rows(a, o, &e.dropped, func(row Row) error {
			for name, text := range a.Constants {
				if row.Values != nil {
					row.Values[name] = text
				}
			}
			if r.wait = append(r.wait, row); len(r.wait) < probed {
				return nil
			}
			return r.flush()
		})
		if err == nil {
			err = r.flush()
		}
		if err != nil {
			return err
		}
		e.files = append(e.files, FileSum{roots[i].path, hex.EncodeToString(r.hash.Sum(nil))})
	}
	return nil
}

// columns are those that make an input: as the source says, or the one of its name.
func (a *Attr) columns(f *Field) []string {
	if c := a.Columns[f.Name]; len(c) > 0 || !a.OfFiles() {
		return c
	}
	return []string{f.Name}
}

// ofFile reports whether an input is made of a file of its own: a picture, or sound.
func (f *Field) ofFile() bool { return f.Images != nil || f.Sound != nil }

// probe looks at a file that makes the input.
func (f *Field) probe(p *picture) (head []byte, size int64, err error) {
	if f.Sound != nil {
		return p.probeSound(&f.Sound.SoundsAttr)
	}
	return p.probe(&f.Images.ImagesAttr)
}

// flush looks at the pictures of the rows that wait, on all processors, and adds them in order.
func (r *imageReader) flush() error {
	r.sums = make([][]byte, len(r.wait))
	var work sync.WaitGroup
	n := runtime.GOMAXPROCS(0)
	for w := range n {
		work.Go(func() {
			for i := w; i < len(r.wait); i += n {
				r.probe(i)
			}
		})
	}
	work.Wait()
	for i, row := range r.wait {
		r.hash.Write(r.sums[i])
		keep, fault := r.a.wanted(&row)
		if fault == nil && keep {
			fault = r.e.add(row, r.a)
		}
		if fault == nil {
			continue
		}
		if r.a.OnError != "skip" {
			return fault
		}
		if r.e.skipped.add(fault); r.o.Report != nil {
			r.o.Report(fault)
		}
	}
	if r.done += len(r.wait); r.o.Progress != nil && len(r.wait) > 0 {
		r.o.Progress("looking at "+r.a.media().noun, int64(r.done), int64(max(r.done, r.total)))
	}
	r.wait = r.wait[:0]
	return nil
}

// probe looks at the pictures of a row, and sums up what it holds: of a picture, how long it is and its first bytes.
func (r *imageReader) probe(i int) {
	row, sum := &r.wait[i], sha256.New()
	if row.bad != nil {
		return
	}
	for _, column := range sortedKeys(row.Values) {
		p, ok := row.Values[column].(*picture)
		if !ok {
			fmt.Fprintf(sum, "%q %v\n", column, row.Values[column])
			continue
		}
		f := r.how[column]
		if f == nil {
			continue
		}
		head, size, err := f.probe(p)
		if err != nil {
			row.bad = pictureError(p, row, column, err)
			return
		}
		fmt.Fprintf(sum, "%q %d %x\n", column, size, sha256.Sum256(head))
	}
	r.sums[i] = sum.Sum(nil)
}

// pictureError says what is wrong with a picture, by its name; where a file of metadata names it, and it is not there, by the line.
func pictureError(p *picture, row *Row, column string, err error) *RowError {
	if isAbsent(err) && row.Line > 0 {
		return bad(row.File, row.Line, column, "there is no file %s", p.name()).bad
	}
	var named *checkpoint.Error
	if errors.As(checkpoint.FileError(p.name(), err), &named) {
		return &RowError{File: named.File, Msg: named.Msg}
	}
	return &RowError{File: p.name(), Msg: err.Error()}
}

// cell is what a row gives to an input.
type cell struct {
	numbers []float64
	picture *picture
	class   string // by its name
}

// imageCell finds what a row of pictures gives to an input.
func (e *Examples) imageCell(i int, row *Row, a *Attr) (c cell, fault *RowError) {
	f := &e.fields[i]
	columns := a.columns(f)
	for _, column := range columns {
		x, ok := row.Values[column]
		if !ok {
			known := sortedKeys(row.Values)
			return c, bad(row.File, row.Line, column, "is missing, and the input %s is made of it; there are %s%s", f.Name, strings.Join(known, ", "), hint(column, known)).bad
		}
		p, picture := x.(*picture)
		if picture != f.ofFile() {
			if picture && a.Format == Sounds {
				return c, bad(row.File, row.Line, column, "is sound, and data.sounds does not say how it makes the input %s", f.Name).bad
			}
			if picture {
				return c, bad(row.File, row.Line, column, "is a picture, and the input %s is not one: f32 [batch, channels, height, width]", f.Name).bad
			}
			return c, bad(row.File, row.Line, column, "is %v, and the input %s wants %s", x, f.Name, a.media().noun).bad
		}
		if picture {
			c.picture = p
			continue
		}
		if err := e.imageValue(&c, f, x, len(columns)); err != nil {
			return c, bad(row.File, row.Line, column, "%v", err).bad
		}
	}
	return c, nil
}

// imageValue adds what stands beside a picture: numbers, a class, or a text, which becomes ids.
func (e *Examples) imageValue(c *cell, f *Field, x any, columns int) (err error) {
	if f.List != nil {
		c.numbers, err = f.List.append(c.numbers, x)
		return err
	}
	alone := columns == 1 && (f.DType == ir.I32 && f.Width == 1 || f.DType == ir.F32 && len(f.Shape) == 1)
	text, isText := x.(string)
	if isText {
		text = strings.TrimSpace(text)
		if _, no := strconv.ParseFloat(text, 64); alone && no != nil {
			c.class = text
			return nil
		}
	}
	switch v := x.(type) {
	case className:
		if !alone {
			return fmt.Errorf("is the name of a class, and the input %s is neither i32 [batch] nor f32 [batch, classes]", f.Name)
		}
		c.class = string(v)
		return nil
	case numberedClass:
		if !slices.Equal(f.Classes, v.names) {
			if len(f.Classes) > 0 {
				return fmt.Errorf("has the classes %.60v, and others have %.60v", v.names, f.Classes)
			}
			f.Classes = v.names
		}
		x = float64(v.number)
	}
	if isText && f.DType == ir.I32 && f.Width > 1 && columns == 1 {
		if f.Tokens == nil {
			return errors.New("is text, and there is no tokenizer: data.tokenizer names a folder with one")
		}
		ids, err := f.Tokens(text)
		for _, id := range ids {
			c.numbers = append(c.numbers, float64(id))
		}
		return err
	}
	if c.numbers, err = numbersOf(c.numbers, x); err != nil || !alone || f.DType == ir.I32 || len(c.numbers) != 1 || f.Width == 1 {
		return err
	}
	f.classed = true
	c.numbers, err = oneHot(c.numbers[0], f.Width)
	return err
}

// oneHot is a class as probabilities.
func oneHot(class float64, n int) ([]float64, error) {
	if class != math.Trunc(class) || class < 0 || class >= float64(n) {
		return nil, fmt.Errorf("is the class %v, want one from 0 to %d", class, n-1)
	}
	out := make([]float64, n)
	out[int(class)] = 1
	return out, nil
}

// settle gives names of classes their numbers: those of the field, or else in the order of the names.
func (e *Examples) settle() error {
	for i := range e.fields {
		f := &e.fields[i]
		names := e.named[i]
		if len(names) == 0 {
			continue
		}
		if len(names) != e.hi {
			return errorf(e.name, "some of what makes the input %s are names of classes, as %q, and others numbers", f.Name, names[0])
		}
		if len(f.Classes) == 0 {
			f.Classes = slices.Compact(slices.Sorted(slices.Values(names)))
		}
		if f.DType == ir.F32 && len(f.Classes) > f.Width {
			return errorf(e.name, "there are %d classes, and the input %s has room for %d", len(f.Classes), f.Name, f.Width)
		}
		number := map[string]int{}
		for n, name := range f.Classes {
			number[name] = n
		}
		for _, name := range names {
			n, ok := number[name]
			if !ok {
				return errorf(e.name, "has the class %q, which what is trained on has not; it has %.120s%s", name, strings.Join(f.Classes, ", "), hint(name, f.Classes))
			}
			if f.DType == ir.I32 {
				e.ints[i] = append(e.ints[i], int32(n))
				continue
			}
			values := make([]float32, f.Width)
			f.classed, values[n] = true, 1
			e.floats[i] = append(e.floats[i], values...)
		}
		e.named[i] = nil
	}
	return nil
}
