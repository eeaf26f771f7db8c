package journal

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"
)

// several are the colours of the lines of a comparison: Okabe and Ito's, the
// dark ones first.
var several = []color.NRGBA{blue, vermilion,
	{0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, ink, quiet}

// maxOverlay is how many runs a picture tells apart.
const maxOverlay = 8

// Overlay draws one value of several runs over their steps, as a PNG. A value
// that no run has is an error that lists those that there are.
func Overlay(value string, folders ...string) ([]byte, error) {
	if len(folders) > maxOverlay {
		return nil, fmt.Errorf("%d runs are too many for one picture, want at most %d", len(folders), maxOverlay)
	}
	f := newFigure(value, fmt.Sprintf("%d runs", len(folders)), value)
	low, high := math.Inf(1), math.Inf(-1)
	var known []string
	for i, folder := range folders {
		rows, err := ReadMetrics(folder)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			for _, n := range r.names() {
				if !slices.Contains(known, n) {
					known = append(known, n)
				}
			}
		}
		c := named(rows, value, 1)
		if len(c.points) == 0 {
			continue
		}
		points := c.points
		if w := window(len(points)); w > 0 {
			points = smoothed(slices.Clone(points), w)
			f.line("", c.points, pale(several[i]), 0.9)
		}
		f.line(filepath.Base(folder), points, several[i], 2)
		a, b := rangeY(c.points)
		low, high = min(low, a), max(high, b)
	}
	if low > high {
		return nil, fmt.Errorf("no run has values of %q; there are %v", value, known)
	}
	f.frame(low > 0 && high/low >= 10, low, high)
	return f.png()
}
