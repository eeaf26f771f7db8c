// Package transform is what recipes do to pictures before a model learns from them: a table of changes, one file each, whose
// attribute structs give their CUE definitions and their documentation. Those that are random draw from an image.Dice, so that
// what a picture becomes is a function of a seed and a number.
//
// The package reads no files and knows no batches.
package transform

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/image"
	"pipe.dev/internal/suggest"
)

// Frame is a picture on its way, and what happened to it.
type Frame struct {
	*image.Picture
	Top, Left int   // of the last part that was cut out, in pixels of the picture before
	Erased    []Box // parts that become 0 after everything else

	whole, part int // widths of that picture, and of the part
}

// flipped moves the place of the part to where it is in the mirrored picture.
func (f *Frame) flipped() {
	if f.part > 0 {
		f.Left = f.whole - f.Left - f.part
	}
}

// Cover resizes the picture so that it covers a size, no more than it must, and takes a part of that size: the middle, or one that d draws.
//
// Source: kohya-ss/sd-scripts, library/train_util.py, trim_and_resize_if_required.
func (f *Frame) Cover(width, height int, filter string, d *image.Dice) (err error) {
	w, h := covering(f.Width, f.Height, width, height)
	if f.Picture, err = f.Resize(w, h, filter); err != nil {
		return err
	}
	if d == nil {
		return f.cut(middle(w, width), middle(h, height), width, height)
	}
	top := d.Int(h - height + 1)
	return f.cut(d.Int(w-width+1), top, width, height)
}

// covering is the least size of the shape of w x h that covers width x height.
func covering(w, h, width, height int) (int, int) {
	round := func(n, by, of int) int { return int((2*int64(n)*int64(by) + int64(of)) / (2 * int64(of))) }
	if int64(w)*int64(height) > int64(h)*int64(width) { // wider than that
		return max(width, round(w, height, h)), height
	}
	return width, max(height, round(h, width, w))
}

// Box is a part of a picture.
type Box struct{ Left, Top, Width, Height int }

// Def is one row of the table.
type Def struct {
	Name   string // "resize": the field name in documents
	Title  string // "Resize": documents write train.#Resize
	Doc    string // what it does, after the title
	Source string // whose definition it follows
	Attr   any    // zero value of the attribute struct
	Random bool   // it draws; evaluations have none of these

	check func(attr any) error // what CUE does not say; may be nil
	// size is that of the result for a picture of so many pixels; nil leaves it. A size of 0 stands for any.
	size  func(attr any, width, height int) (int, int, error)
	apply func(attr any, f *Frame, d *image.Dice) error
}

// table lists every transform, in the order of the documentation.
func table() []Def {
	return []Def{resize(), centerCrop(), randomCrop(), randomResizedCrop(), flip(), verticalFlip(), rotate(), colorJitter(), greyscale(), erase()}
}

// Step is a transform with its attributes.
type Step struct {
	Def
	At any // the attributes
}

// Chain is transforms that follow each other.
type Chain []Step

// Decode makes a chain of the elements of a list of a document; what they do not say is as the table has it.
func Decode(list []any) (Chain, error) {
	var out Chain
	for i, x := range list {
		m, _ := x.(map[string]any)
		name, _ := m["name"].(string)
		at := slices.IndexFunc(table(), func(d Def) bool { return d.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("%d: there is no transform %q; there are %s%s", i, name, strings.Join(Names(), ", "), hint(name))
		}
		d := table()[at]
		a, err := attr.Default(d.Attr)
		if err == nil {
			a, err = attr.Decode(a, m)
		}
		if err == nil && d.check != nil {
			err = d.check(a)
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %s: %w", i, name, err)
		}
		out = append(out, Step{d, a})
	}
	return out, nil
}

func hint(name string) string {
	if s := suggest.DidYouMean(name, Names()); s != "" {
		return "; " + s
	}
	return ""
}

// Names lists the transforms.
func Names() []string {
	var names []string
	for _, d := range table() {
		names = append(names, d.Name)
	}
	return names
}

// Size is that of the result for a picture of so many pixels; 0 stands for any.
func (c Chain) Size(width, height int) (int, int, error) {
	for _, s := range c {
		if s.size == nil {
			continue
		}
		var err error
		if width, height, err = s.size(s.At, width, height); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return width, height, nil
}

// Apply changes a picture; item is the number that the random steps draw by. Pictures of the same item and size are changed alike
// by equal chains.
func (c Chain) Apply(f *Frame, seed, item uint64) error {
	for i, s := range c {
		if err := s.apply(s.At, f, image.NewDice(seed, fmt.Sprintf("transform %d %s", i, s.Name), item)); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// Fixed reports whether nothing in the chain is random.
func (c Chain) Fixed() bool { return !slices.ContainsFunc(c, func(s Step) bool { return s.Random }) }

// Key tells chains apart.
func (c Chain) Key() []any {
	var out []any
	for _, s := range c {
		out = append(out, s.Name, s.At)
	}
	return out
}

// CUE writes the definitions, for schema/train/transforms.cue.
func CUE() ([]byte, error) {
	var b strings.Builder
	b.WriteString("// Code generated from the table of transforms. DO NOT EDIT.\n\npackage train\n")
	b.WriteString("\n// _transforms are those of each name.\n_transforms: {\n")
	for _, d := range table() {
		fmt.Fprintf(&b, "\t%s: #%s\n", d.Name, d.Title)
	}
	b.WriteString("}\n")
	for _, d := range table() {
		e := attr.Entry{Title: d.Title, Doc: d.Doc, Field: "name", Name: d.Name, Attr: d.Attr}
		if err := e.WriteCUE(&b); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}

// Docs writes the page of the table.
func Docs() ([]byte, error) {
	var b strings.Builder
	b.WriteString("<!-- Code generated from the table of transforms. DO NOT EDIT. -->\n\n# Transforms of pictures\n\n" +
		"What a recipe does to pictures, in the order in which `data.images` lists it.\n")
	for _, d := range table() {
		fmt.Fprintf(&b, "\n## %s\n\n`%s` %s", d.Title, d.Name, d.Doc)
		if d.Random {
			b.WriteString(" It is random.")
		}
		fmt.Fprintf(&b, "\n\nAs %s.\n\n", d.Source)
		e := attr.Entry{Title: d.Title, Attr: d.Attr}
		if err := e.WriteTable(&b); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}
