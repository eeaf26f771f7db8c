package image

import (
	"fmt"
	"math"
)

// Grid puts pictures of one size and kind into one, in rows of so many columns,
// with gap pixels between them.
func Grid(list []*Picture, columns, gap int) (*Picture, error) {
	if len(list) == 0 || columns < 1 || gap < 0 {
		return nil, fmt.Errorf("%d pictures in %d columns: want at least one", len(list), columns)
	}
	p := list[0]
	for i, q := range list {
		if err := alike(p, q); err != nil {
			return nil, fmt.Errorf("picture %d: %w", i, err)
		}
	}
	columns = min(columns, len(list))
	rows := (len(list) + columns - 1) / columns
	sheet := New(columns*p.Width+(columns-1)*gap, rows*p.Height+(rows-1)*gap, p.Channels, p.Deep != nil)
	for i, q := range list {
		left, top := i%columns*(p.Width+gap), i/columns*(p.Height+gap)
		if p.Deep != nil {
			place(sheet.Deep, q.Deep, sheet, q, left, top)
		} else {
			place(sheet.Pix, q.Pix, sheet, q, left, top)
		}
	}
	return sheet, nil
}

// place copies the rows of q into those of sheet.
func place[T sample](dst, src []T, sheet, q *Picture, left, top int) {
	n := q.Width * q.Channels
	for y := range q.Height {
		copy(dst[((top+y)*sheet.Width+left)*sheet.Channels:], src[y*n:(y+1)*n])
	}
}

// alike says how two pictures differ in kind.
func alike(p, q *Picture) error {
	if p.Width != q.Width || p.Height != q.Height || p.Channels != q.Channels || p.Bits() != q.Bits() {
		return fmt.Errorf("%d x %d of %d channels and %d bits, and the other %d x %d of %d channels and %d bits",
			p.Width, p.Height, p.Channels, p.Bits(), q.Width, q.Height, q.Channels, q.Bits())
	}
	return nil
}

// PSNR is the peak signal to noise ratio of pictures, in dB: 10 log10(peak² / mean
// square of the differences), over all samples. Equal pictures have 999.
func PSNR(a, b []*Picture) (float64, error) {
	if len(a) != len(b) {
		return 0, fmt.Errorf("%d pictures and %d", len(a), len(b))
	}
	var sum, count float64
	for i, p := range a {
		if err := alike(p, b[i]); err != nil {
			return 0, fmt.Errorf("picture %d: %w", i, err)
		}
		if p.Deep != nil {
			sum += squares(p.Deep, b[i].Deep) / (65535 * 65535)
		} else {
			sum += squares(p.Pix, b[i].Pix) / (255 * 255)
		}
		count += float64(p.Width * p.Height * p.Channels)
	}
	if sum == 0 {
		return 999, nil
	}
	return 10 * math.Log10(count/sum), nil
}

// squares is the sum of squares of differences.
func squares[T sample](a, b []T) float64 {
	s := 0.0
	for i, v := range a {
		d := float64(v) - float64(b[i])
		s += d * d
	}
	return s
}
