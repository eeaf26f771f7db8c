package image

import (
	"math"
	"testing"
)

func TestGrid(t *testing.T) {
	var list []*Picture
	for i := range 5 {
		p := New(2, 1, 1, false)
		p.Pix[0], p.Pix[1] = uint8(10*i), uint8(10*i+1)
		list = append(list, p)
	}
	sheet, err := Grid(list, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := []uint8{0, 1, 0, 10, 11, 0, 20, 21, 0, 0, 0, 0, 0, 0, 0, 0, 30, 31, 0, 40, 41, 0, 0, 0}
	if sheet.Width != 8 || sheet.Height != 3 || string(sheet.Pix) != string(want) {
		t.Errorf("%d x %d: %v", sheet.Width, sheet.Height, sheet.Pix)
	}
	if _, err := Grid([]*Picture{list[0], New(1, 1, 1, false)}, 2, 0); err == nil {
		t.Error("pictures of two sizes are taken")
	}
	if _, err := Grid(nil, 2, 0); err == nil {
		t.Error("no pictures are taken")
	}
}

func TestPSNR(t *testing.T) {
	a, b := New(2, 2, 3, false), New(2, 2, 3, false)
	for i := range b.Pix {
		b.Pix[i] = 16
	}
	got, err := PSNR([]*Picture{a}, []*Picture{b})
	if want := 20 * math.Log10(255./16); err != nil || math.Abs(got-want) > 1e-12 {
		t.Errorf("%g %v, want %g", got, err, want)
	}
	if got, err := PSNR([]*Picture{a}, []*Picture{a}); err != nil || got != 999 {
		t.Errorf("equal pictures give %g, %v", got, err)
	}
	if _, err := PSNR([]*Picture{a}, []*Picture{New(2, 2, 1, false)}); err == nil {
		t.Error("pictures of other channels are compared")
	}
}
