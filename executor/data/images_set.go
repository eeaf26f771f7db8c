package data

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// checkImages holds what is said of pictures against the inputs that are made of them.
func (e *Examples) checkImages() error {
	e.cuts = make([][]string, len(e.fields))
	for i := range e.fields {
		f := &e.fields[i]
		if f.Sound != nil {
			if err := e.checkSound(f); err != nil {
				return err
			}
		}
		if f.Images == nil {
			continue
		}
		f.Shape = slices.Clone(f.Shape)
		if err := f.check(); err != nil {
			return &OptionError{"images." + f.Name, err.Error()}
		}
		b := f.Images.Buckets
		if b == nil {
			if e.sizes != nil {
				return optionErrorf("images."+f.Name, "have no buckets, and those of another input have")
			}
			continue
		}
		sizes, err := b.sizes()
		if err != nil {
			return &OptionError{"images." + f.Name, err.Error()}
		}
		if e.sizes != nil && !slices.Equal(e.sizes, sizes) {
			return optionErrorf("images."+f.Name, "have other buckets than those of another input")
		}
		e.sizes = sizes
	}
	return nil
}

// checkSound is checkImages for an input of sound.
func (e *Examples) checkSound(f *Field) error {
	f.Shape = slices.Clone(f.Shape)
	if err := f.checkSound(); err != nil {
		return &OptionError{"sounds." + f.Name, err.Error()}
	}
	if sizes := f.Sound.sizes(); len(sizes) > 0 {
		if e.sizes != nil && !slices.Equal(e.sizes, sizes) {
			return optionErrorf("sounds."+f.Name, "has other lengths than another input")
		}
		e.sizes = sizes
	}
	return nil
}

// cutting finds the inputs that say how pictures were cut.
func (e *Examples) cutting(a *Attr) error {
	for i := range e.fields {
		f := &e.fields[i]
		columns := a.columns(f)
		if a.Format == Sounds && slices.Equal(columns, []string{samplesColumn}) {
			if f.Width != 1 {
				return optionErrorf("columns", "%s is of %d numbers, and %s is one", f.Name, f.Width, samplesColumn)
			}
			e.cuts[i] = columns
			continue
		}
		n := 0
		for _, c := range columns {
			if slices.Contains(cutColumns(), c) {
				n++
			}
		}
		switch {
		case n == 0 || a.Format != Images:
			if e.cuts[i] != nil {
				return optionErrorf("columns", "%s is made of %s by another source", f.Name, strings.Join(e.cuts[i], ", "))
			}
			continue
		case n < len(columns):
			return optionErrorf("columns", "%s mixes %s with what is no size of a picture", f.Name, strings.Join(cutColumns(), ", "))
		case f.Width != 2*n:
			return optionErrorf("columns", "%s is of %d numbers, and %s are %d", f.Name, f.Width, strings.Join(columns, ", "), 2*n)
		case e.hi > 0 && !slices.Equal(e.cuts[i], columns):
			return optionErrorf("columns", "%s is made of other columns by another source", f.Name)
		case !e.pictured():
			return optionErrorf("columns", "%s says how a picture was cut, and no input is a picture", f.Name)
		}
		e.cuts[i] = columns
	}
	return nil
}

// pictured reports whether an input is made of pictures.
func (e *Examples) pictured() bool { return e.firstPicture() >= 0 }

// ofFiles reports whether an input is made of files of their own, which are decoded as they are needed.
func (e *Examples) ofFiles() bool {
	return slices.ContainsFunc(e.fields, func(f Field) bool { return f.ofFile() })
}

func (e *Examples) firstPicture() int {
	return slices.IndexFunc(e.fields, func(f Field) bool { return f.Images != nil })
}

// place finds the bucket of a row's pictures, and holds their sizes against the transforms. It is false for a row that is left out.
func (e *Examples) place(cells []cell, r *Row) (bool, *RowError) {
	first := e.firstPicture()
	if i := slices.IndexFunc(e.fields, func(f Field) bool { return f.Sound != nil }); i >= 0 && len(e.sizes) > 0 {
		e.bucket = append(e.bucket, uint16(e.fields[i].Sound.bucketFor(cells[i].picture.width)))
		return true, nil
	}
	if first < 0 {
		return true, nil
	}
	p, bucket := cells[first].picture, 0
	if b := e.fields[first].Images.Buckets; b != nil {
		bucket = choose(e.sizes, p.width, p.height)
		if s := e.sizes[bucket]; !b.Enlarge && (p.width < s[0] || p.height < s[1]) {
			e.dropped.note(fmt.Sprintf("%s: has %d x %d pixels, less than its bucket, %d x %d", p.name(), p.width, p.height, s[0], s[1]))
			return false, nil
		}
	}
	for i := range e.fields {
		f := &e.fields[i]
		if f.Images == nil {
			continue
		}
		if err := f.suits(cells[i].picture, e.sizeOf(i, bucket)); err != nil {
			return false, &RowError{File: cells[i].picture.name(), Msg: err.Error()}
		}
	}
	if len(e.sizes) > 0 {
		e.bucket = append(e.bucket, uint16(bucket))
	}
	return true, nil
}

// sizeOf is the size of pictures of an input: width, height.
func (e *Examples) sizeOf(field, bucket int) [2]int {
	if len(e.sizes) > 0 {
		return e.sizes[bucket]
	}
	return e.fields[field].size()
}

// width is how many numbers an input has, in batches of a bucket.
func (e *Examples) width(field, bucket int) int {
	f := &e.fields[field]
	if f.Sound != nil && len(e.sizes) > 0 {
		return e.sizes[bucket][0]
	}
	if f.Images == nil {
		return f.Width
	}
	s := e.sizeOf(field, bucket)
	return f.Shape[0] * s[0] * s[1]
}

// example is the number of the i-th of those that are used.
func (e *Examples) example(i int) int {
	if e.index != nil {
		return int(e.index[i])
	}
	return i
}

// scatter splits pictures: which are kept for validation is chosen at random, since they may be sorted by class, always alike for as many.
func (e *Examples) scatter(share float64) (train, validation *Examples) {
	n := e.hi - e.lo
	kept := n - int(math.Round(float64(n)*(1-share)))
	order := newPermutation(int64(n), random(0, uint64(n)))
	chosen := make([]bool, n)
	for i := range kept {
		chosen[order.at(int64(i))] = true
	}
	var front, back []int32
	for i := range n {
		if at := int32(e.example(e.lo + i)); chosen[i] {
			back = append(back, at)
		} else {
			front = append(front, at)
		}
	}
	train, validation = e.part(front), e.part(back)
	if kept == 0 {
		return train, nil
	}
	return train, validation
}

// part is some of the examples.
func (e *Examples) part(index []int32) *Examples {
	p := *e
	p.index, p.lo, p.hi = index, 0, len(index)
	return &p
}

// Classes are the names of the classes of an input, in the order of their numbers; nil if it has none.
func (e *Examples) Classes(field string) []string {
	for _, f := range e.fields {
		if f.Name == field {
			return f.Classes
		}
	}
	return nil
}

// Fields are the inputs, with what became known of them.
func (e *Examples) Fields() []Field { return e.fields }

// Pictured reports whether examples are pictures, which are decoded as they are needed.
func (e *Examples) Pictured() bool { return e.pictured() }

// OfFiles reports whether examples are pictures or sound, which are decoded as they are needed.
func (e *Examples) OfFiles() bool { return e.ofFiles() }

// Dropped says which pictures no row speaks of, or are too small.
func (e *Examples) Dropped() Skipped { return e.dropped }

// uses reports whether an example is one of those that are used.
func (e *Examples) uses(example int) bool {
	if e.index == nil {
		return example >= e.lo && example < e.hi
	}
	_, found := slices.BinarySearch(e.index, int32(example))
	return found
}

// tell passes a warning on.
func (e *Examples) tell(err error) {
	if e.report != nil {
		e.report(err)
	}
}
