package data

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/image"
)

// PictureReport says what a source of pictures holds.
type PictureReport struct {
	Pictures int            `json:"pictures"`
	Classes  map[string]int `json:"classes,omitempty"` // how many each has
	Buckets  []Bucket       `json:"buckets,omitempty"` // that have any
	Dropped  Skipped        `json:"dropped"`           // pictures that no row speaks of, or are too small
	Skipped  Skipped        `json:"skipped"`           // bad rows
}

// Report counts what there is.
func (e *Examples) Report() PictureReport {
	r := PictureReport{Pictures: e.Len(), Dropped: e.dropped, Skipped: e.skipped}
	for _, b := range e.Buckets() {
		if b.Count > 0 {
			r.Buckets = append(r.Buckets, b)
		}
	}
	for i := range e.fields {
		f := &e.fields[i]
		if len(f.Classes) == 0 || r.Classes != nil {
			continue
		}
		r.Classes = map[string]int{}
		for k := range e.Len() {
			if n := e.class(i, e.example(e.lo+k)); n >= 0 && n < len(f.Classes) {
				r.Classes[f.Classes[n]]++
			}
		}
	}
	return r
}

// class is that of an example.
func (e *Examples) class(field, example int) int {
	f := &e.fields[field]
	if f.DType == ir.I32 {
		return int(e.ints[field][example*f.Width])
	}
	return slices.Index(e.floats[field][example*f.Width:(example+1)*f.Width], 1)
}

// write prints the report.
func (r *PictureReport) write(w io.Writer) {
	fmt.Fprintf(w, "pictures %d\n", r.Pictures)
	if len(r.Classes) > 0 {
		var words []string
		for _, name := range slices.Sorted(maps.Keys(r.Classes)) {
			words = append(words, fmt.Sprintf("%s %d", printable(name), r.Classes[name]))
		}
		fmt.Fprintf(w, "classes %d: %s\n", len(words), strings.Join(words, ", "))
	}
	if len(r.Buckets) > 0 {
		var words []string
		for _, b := range r.Buckets {
			words = append(words, fmt.Sprintf("%dx%d %d", b.Width, b.Height, b.Count))
		}
		fmt.Fprintf(w, "buckets %d: %s\n", len(words), strings.Join(words, ", "))
	}
	r.Dropped.write(w, "left out")
	r.Skipped.write(w, "skipped")
}

// write prints what was left out, if anything was.
func (s *Skipped) write(w io.Writer, how string) {
	if s.Rows == 0 {
		return
	}
	fmt.Fprintf(w, "%s %d\n", how, s.Rows)
	for _, line := range s.First {
		fmt.Fprintf(w, "  %s\n", clean(line))
	}
	if more := s.Rows - int64(len(s.First)); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}

// PictureText is what belongs to the pictures of a row, in JSON.
type PictureText struct {
	Batch    int64             `json:"batch"` // from 1
	Row      int               `json:"row"`   // from 1
	Pictures map[string][3]int `json:"pictures"`
	Values   map[string]any    `json:"values"`
}

// pictureShower writes batches of pictures.
type pictureShower struct {
	e       *Examples
	decoder Decoder // of texts; nil if there is none
	o       ShowOptions
	out     *bufio.Writer
	cards   []card
}

type card struct {
	picture *image.Picture
	lines   []string
}

// mostCards is how many pictures a sheet shows at most.
const mostCards = 256

// ShowPictures reports what a source of pictures holds, and writes the next batches: what belongs to each picture in a line, and the pictures, as
// the model sees them, on a sheet. The sheet is nil if none was asked for.
func ShowPictures(w io.Writer, l *ExampleLoader, d Decoder, o ShowOptions) (*image.Picture, error) {
	s := &pictureShower{e: l.e, decoder: d, o: o, out: bufio.NewWriter(w)}
	report := l.e.Report()
	if o.JSON {
		if err := json.NewEncoder(s.out).Encode(report); err != nil {
			return nil, err
		}
	} else {
		report.write(s.out)
	}
	var b Batch
	for range o.Batches {
		if err := l.Next(&b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		for row := range b.Rows {
			if err := s.row(&b, row); err != nil {
				return nil, err
			}
		}
	}
	if err := s.out.Flush(); err != nil || !o.Sheet || len(s.cards) == 0 {
		return nil, err
	}
	return s.sheet()
}

func (s *pictureShower) row(b *Batch, row int) error {
	t := PictureText{Batch: b.Step + 1, Row: row + 1, Pictures: map[string][3]int{}, Values: map[string]any{}}
	var words, lines []string
	for i := range s.e.fields {
		f := &s.e.fields[i]
		if f.Images != nil {
			size := s.e.sizeOf(i, b.Bucket)
			t.Pictures[f.Name] = [3]int{f.Shape[0], size[1], size[0]}
			words = append(words, fmt.Sprintf("%s %dx%d", f.Name, size[0], size[1]))
			continue
		}
		value, text := s.value(f, b.Values[f.Name], row)
		t.Values[f.Name] = value
		words, lines = append(words, f.Name+" "+text), append(lines, f.Name+" "+text)
	}
	if err := s.keep(b, row, lines); err != nil {
		return err
	}
	if s.o.JSON {
		return json.NewEncoder(s.out).Encode(t)
	}
	_, err := fmt.Fprintf(s.out, "%d.%d  %s\n", t.Batch, t.Row, strings.Join(words, "  "))
	return err
}

// keep makes cards of the pictures of a row.
func (s *pictureShower) keep(b *Batch, row int, lines []string) error {
	if !s.o.Sheet || len(s.cards) >= mostCards {
		return nil
	}
	for i := range s.e.fields {
		f := &s.e.fields[i]
		if f.Images == nil {
			continue
		}
		size, n := s.e.sizeOf(i, b.Bucket), 4*s.e.width(i, b.Bucket)
		numbers, plane := floats(b.Values[f.Name][row*n:(row+1)*n]), size[0]*size[1]
		list, err := image.FromTensor(func(i int) []float32 { return numbers[i*plane:] }, [4]int{1, f.Shape[0], size[1], size[0]},
			image.Normal{Mean: f.Images.Mean, Std: f.Images.Std}, 8)
		if err != nil {
			return err
		}
		s.cards = append(s.cards, card{list[0], lines})
	}
	return nil
}

// value is what a row has for an input besides pictures: for JSON, and as text.
func (s *pictureShower) value(f *Field, data []byte, row int) (any, string) {
	numbers := f.values(data, row)
	if len(f.Classes) > 0 && f.DType == ir.I32 && f.Width == 1 {
		if n := int(numbers[0]); n >= 0 && n < len(f.Classes) {
			return f.Classes[n], printable(f.Classes[n])
		}
	}
	if f.Tokens != nil && s.decoder != nil {
		ids := make([]int32, len(numbers))
		for i, x := range numbers {
			ids[i] = int32(x)
		}
		if text, err := s.decoder.Decode(ids, true); err == nil {
			return text, fmt.Sprintf("%q", text)
		}
	}
	var words []string
	for i, x := range numbers {
		switch {
		case f.classed && x == 0:
		case f.classed && i < len(f.Classes):
			words = append(words, fmt.Sprintf("%s %.3g", printable(f.Classes[i]), x))
		case f.classed:
			words = append(words, fmt.Sprintf("%d: %.3g", i, x))
		case i < shownNumbers:
			words = append(words, fmt.Sprintf("%.4g", x))
		}
	}
	return numbers, strings.Join(words, " ")
}

// sheet puts the cards into one picture.
func (s *pictureShower) sheet() (*image.Picture, error) {
	const widest, narrowest = 256, 96
	w, h, lines := narrowest, 0, 0
	for _, c := range s.cards {
		w, h, lines = max(w, min(widest, c.picture.Width)), max(h, min(widest, c.picture.Height)), max(lines, len(c.lines))
	}
	var list []*image.Picture
	for _, c := range s.cards {
		text := append(slices.Clone(c.lines), make([]string, lines-len(c.lines))...)
		p, err := image.Card(c.picture, w, h, text)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	columns := 1
	for columns*columns < len(list) {
		columns++
	}
	return image.Grid(list, columns, 4)
}
