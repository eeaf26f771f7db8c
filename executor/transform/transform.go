// Package transform is what recipes do to pictures before a model learns from them: the rows of a table of changes.
//
// The package reads no files and knows no batches.
package transform

import (
	"fmt"

	"pipe.dev/executor/change"
	"pipe.dev/executor/image"
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
type Def = change.Def[*Frame]

// Chain is transforms that follow each other.
type Chain = change.Chain[*Frame]

// Table lists every transform, in the order of the documentation.
func Table() change.Table[*Frame] {
	return change.Table[*Frame]{
		One: "transform", Many: "transforms", Draws: "transform", CUE: "_transforms",
		Page: "Transforms of pictures", About: "What a recipe does to pictures, in the order in which `data.images` lists it.",
		Rows: []Def{resize(), centerCrop(), randomCrop(), randomResizedCrop(), flip(), verticalFlip(), rotate(), colorJitter(), greyscale(), erase()},
	}
}

// sizer are attributes of what changes sizes: after is that of the result for a picture of so many pixels. A size of 0 stands for any.
type sizer interface {
	after(width, height int) (int, int, error)
}

// Size is that of what a chain makes of a picture of so many pixels; 0 stands for any.
func Size(c Chain, width, height int) (int, int, error) {
	for _, s := range c {
		at, ok := s.At.(sizer)
		if !ok {
			continue
		}
		var err error
		if width, height, err = at.after(width, height); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return width, height, nil
}
