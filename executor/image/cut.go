package image

import (
	"fmt"
	"math"
)

// Crop returns the part of p whose top left pixel is (left, top). It may reach over p: nothing
// is there.
func (p *Picture) Crop(left, top, width, height int) (*Picture, error) {
	if width < 1 || height < 1 || int64(width)*int64(height) > MaxPixels {
		return nil, fmt.Errorf("the part is %d x %d; want at least 1 x 1 and at most %d pixels", width, height, MaxPixels)
	}
	q := p.like(width, height)
	lo, hi := max(0, -left), min(width, p.Width-left)
	for y := max(0, -top); y < min(height, p.Height-top); y++ {
		from, n := (y+top)*p.Width+left, p.Channels
		switch {
		case lo >= hi:
		case p.Deep != nil:
			copy(q.Deep[(y*width+lo)*n:(y*width+hi)*n], p.Deep[(from+lo)*n:])
		default:
			copy(q.Pix[(y*width+lo)*n:(y*width+hi)*n], p.Pix[(from+lo)*n:])
		}
	}
	return q, nil
}

// Middle returns the part in the middle of p, as torchvision's center_crop has it: what is
// left over at the left and above is half of the rest, to the nearest even number.
func (p *Picture) Middle(width, height int) (*Picture, error) {
	half := func(n int) int { return int(math.RoundToEven(float64(n) / 2)) }
	return p.Crop(half(p.Width-width), half(p.Height-height), width, height)
}

// FlipX mirrors left and right.
func (p *Picture) FlipX() *Picture {
	q := p.like(p.Width, p.Height)
	if p.Deep != nil {
		mirror(q.Deep, p.Deep, p.Width, p.Channels)
	} else {
		mirror(q.Pix, p.Pix, p.Width, p.Channels)
	}
	return q
}

// mirror copies rows of pixels of n samples, the last pixel first.
func mirror[T sample](to, from []T, width, n int) {
	row := width * n
	for at := 0; at < len(from); at += row {
		for x := range width {
			copy(to[at+x*n:at+(x+1)*n], from[at+row-(x+1)*n:])
		}
	}
}

// FlipY mirrors top and bottom.
func (p *Picture) FlipY() *Picture { return p.Turned(4) }

// Fits are the ways to bring a picture to a size that has another shape.
func Fits() []string { return []string{"stretch", "cover", "inside"} }

// Fit resizes p: "stretch" to the very size; "cover" so that it covers it, and cuts what is over at two sides;
// "inside" so that it fits into it, and is as small as it becomes. A width or height of 0
// follows from the other.
func (p *Picture) Fit(width, height int, fit, filter string) (*Picture, error) {
	if width < 0 || height < 0 || width == 0 && height == 0 {
		return nil, fmt.Errorf("the new size is %d x %d; want a width, a height, or both", width, height)
	}
	scale := func(n, by, of int) int { // n*by/of, rounded
		return max(1, int(math.Round(float64(n)*float64(by)/float64(of))))
	}
	switch {
	case width == 0:
		return p.Resize(scale(p.Width, height, p.Height), height, filter)
	case height == 0:
		return p.Resize(width, scale(p.Height, width, p.Width), filter)
	case fit == "stretch":
		return p.Resize(width, height, filter)
	case fit != "cover" && fit != "inside":
		return nil, fmt.Errorf("no fit is called %q; there are %v", fit, Fits())
	}
	wide := int64(p.Width)*int64(height) > int64(p.Height)*int64(width) // than what it is to fill
	w, h := width, height
	if wide == (fit == "cover") {
		w = scale(p.Width, height, p.Height)
	} else {
		h = scale(p.Height, width, p.Width)
	}
	q, err := p.Resize(w, h, filter)
	if err != nil || fit == "inside" {
		return q, err
	}
	return q.Middle(width, height)
}
