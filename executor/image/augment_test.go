package image

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// Parts have shares and ratios within their bounds, lie inside, and differ from item to item; the same
// item gives the same picture.
func TestAugment(t *testing.T) {
	p := New(40, 30, 3, false)
	for i := range p.Pix {
		p.Pix[i] = uint8(i * 7)
	}
	a := Augment{Width: 16, Height: 12, Scale: [2]float64{0.08, 1}, Ratio: [2]float64{0.75, 4. / 3}, Filter: "bilinear", Flip: 0.5, Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1}
	different := map[string]bool{}
	for i := range uint64(200) {
		q, err := a.Apply(p, NewDice(3, "x", i))
		if err != nil || q.Width != 16 || q.Height != 12 {
			t.Fatal(q, err)
		}
		again, _ := a.Apply(p, NewDice(3, "x", i))
		if !slices.Equal(q.Pix, again.Pix) {
			t.Error("the same draw gives another picture")
		}
		different[string(q.Pix)] = true
	}
	if len(different) < 199 {
		t.Errorf("%d of 200 pictures differ", len(different))
	}
	least, most := 2.0, 0.0
	for i := range uint64(2000) {
		l, top, w, h := a.Part(400, 300, NewDice(1, "x", i))
		if l < 0 || top < 0 || w < 1 || h < 1 || l+w > 400 || top+h > 300 {
			t.Fatal(l, top, w, h)
		}
		share, ratio := float64(w*h)/120000, float64(w)/float64(h)
		least, most = min(least, share), max(most, share)
		if share < 0.075 || ratio < 0.73 || ratio > 1.36 {
			t.Errorf("share %v, ratio %v", share, ratio)
		}
	}
	if least > 0.1 || most < 0.85 {
		t.Errorf("shares from %v to %v", least, most)
	}
	// Nothing fits: the largest in the middle with the nearest ratio.
	a.Ratio = [2]float64{1, 1}
	a.Scale = [2]float64{1, 1}
	if l, top, w, h := a.Part(40, 30, NewDice(1, "x", 1)); l != 5 || top != 0 || w != 30 || h != 30 {
		t.Error(l, top, w, h)
	}
}

func TestAugmentCheck(t *testing.T) {
	for want, a := range map[string]Augment{
		"want both, or neither": {Width: 3},
		"scale is [0 1]":        {Width: 3, Height: 3, Scale: [2]float64{0, 1}},
		"ratio is [2 1]":        {Width: 3, Height: 3, Scale: [2]float64{1, 1}, Ratio: [2]float64{2, 1}},
		"flip is NaN":           {Flip: math.NaN()},
		"want at least 0":       {Contrast: -1},
		"hue is 0.6":            {Hue: 0.6},
	} {
		if _, err := a.Apply(New(4, 4, 3, false), NewDice(0, "", 0)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Draws have the moments of their distributions: Beta(a, a) has mean 1/2 and variance 1/(8a+4).
func TestBeta(t *testing.T) {
	for _, a := range []float64{0.2, 1, 4} {
		const n = 20000
		mean, square := 0.0, 0.0
		for i := range uint64(n) {
			v := NewDice(5, "beta", i).Beta(a)
			if !(v >= 0 && v <= 1) {
				t.Fatal(v)
			}
			mean, square = mean+v/n, square+v*v/n
		}
		if got, want := square-mean*mean, 1/(8*a+4); math.Abs(mean-0.5) > 0.01 || math.Abs(got-want) > 0.03*want {
			t.Errorf("Beta(%v): mean %v, variance %v, want %v", a, mean, got, want)
		}
	}
	if v := NewDice(1, "", 0).Beta(1e-12); v != 0 && v != 1 {
		t.Error(v)
	}
}

// mixup is x lambda + other (1-lambda); cutmix takes a box whose share of the area is what labels say.
func TestMix(t *testing.T) {
	x, labels := []float32{0, 0, 8, 8, 4, 4}, []float32{1, 0, 0, 1, 1, 0}
	mixed, targets := Mixup(x, labels, 3, 0.75)
	if !slices.Equal(mixed, []float32{1, 1, 6, 6, 5, 5}) || !slices.Equal(targets, []float32{1, 0, 0.25, 0.75, 0.75, 0.25}) {
		t.Error(mixed, targets)
	}
	shape := [4]int{2, 3, 8, 10}
	x = make([]float32, 2*3*8*10)
	for i := range x {
		x[i] = float32(i / 240)
	}
	some := false
	for i := range uint64(50) {
		d := NewDice(9, "cutmix", i)
		mixed, targets := CutMix(x, []float32{1, 0, 0, 1}, shape, d.Beta(1), d)
		for c := range 6 {
			other := 0
			for j := range 80 {
				if mixed[c*80+j] != x[c*80+j] {
					other++
				}
			}
			if want := targets[c/3*2+1-c/3]; math.Abs(float64(want)-float64(other)/80) > 1e-6 {
				t.Errorf("%d of 80 are of the other, and its label has %v", other, want)
			}
			some = some || other > 0 && other < 80
		}
	}
	if !some {
		t.Error("no box was cut")
	}
}

// Pictures that don't fit together, and numbers that are none, are told.
func TestTensorErrors(t *testing.T) {
	a, b := New(2, 2, 3, false), New(3, 2, 3, false)
	nan := []float32{0, 0, float32(math.NaN()), 0}
	for want, f := range map[string]func() error{
		"there are no pictures":                      func() error { _, _, err := Tensor(nil, Normal{}); return err },
		"picture 1 is 3x2 rgb, 8 bits and the first": func() error { _, _, err := Tensor([]*Picture{a, b}, Normal{}); return err },
		"mean has 2 numbers; want 1":                 func() error { _, _, err := Tensor([]*Picture{a}, Normal{Mean: []float64{1, 2}}); return err },
		"std is 0":                                   func() error { _, _, err := Tensor([]*Picture{a}, Normal{Std: []float64{0}}); return err },
		"element [0, 0, 1, 0] is not a number": func() error {
			_, err := FromTensor(func(int) []float32 { return nan }, [4]int{1, 1, 2, 2}, Normal{}, 8)
			return err
		},
		"[1 5 2 2] are no pictures; want": func() error {
			_, err := FromTensor(func(int) []float32 { return nan }, [4]int{1, 5, 2, 2}, Normal{}, 8)
			return err
		},
		"no filter is called \"x\"; there are nearest,": func() error { _, err := a.Resize(1, 1, "x"); return err },
		"want at least 1 x 1":                           func() error { _, err := a.Resize(0, 1, "box"); return err },
		"want at most 89478485":                         func() error { _, err := a.Resize(1<<20, 1<<20, "box"); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Fits keep the shape, or cut it.
func TestFit(t *testing.T) {
	p := New(40, 30, 3, false)
	for _, c := range []struct {
		w, h  int
		fit   string
		wantW int
		wantH int
	}{{20, 0, "stretch", 20, 15}, {0, 10, "cover", 13, 10}, {20, 20, "stretch", 20, 20}, {20, 20, "cover", 20, 20}, {20, 20, "inside", 20, 15}, {8, 300, "inside", 8, 6}} {
		q, err := p.Fit(c.w, c.h, c.fit, "bicubic")
		if err != nil || q.Width != c.wantW || q.Height != c.wantH {
			t.Error(c, q, err)
		}
	}
	if _, err := p.Fit(0, 0, "cover", "box"); err == nil {
		t.Error("no size is a size")
	}
	q, err := p.Crop(-2, 28, 5, 4)
	if err != nil || q.Width != 5 || q.Height != 4 {
		t.Error(q, err)
	}
}
