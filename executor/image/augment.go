package image

import (
	"fmt"
	"hash/crc32"
	"math"

	"pipe.dev/internal/philox"
)

// Dice are the random numbers of one item: functions of a seed, of what they are for, of the
// item's number, and of how many were drawn.
type Dice struct {
	seed   uint64
	stream uint32
	at     uint64
}

// NewDice returns the numbers of an item, up to 1<<24 of them.
func NewDice(seed uint64, purpose string, item uint64) *Dice {
	return &Dice{seed: seed, stream: crc32.ChecksumIEEE([]byte(purpose)), at: item << 24}
}

// Float is a number in [0, 1).
func (d *Dice) Float() float64 {
	r := philox.Words(d.seed, d.stream, d.at)
	d.at++
	return float64(uint64(r[0])<<21|uint64(r[1])>>11) * 0x1p-53
}

// Between is a number from low to high.
func (d *Dice) Between(low, high float64) float64 { return low + (high-low)*d.Float() }

// Int is a whole number in [0, n).
func (d *Dice) Int(n int) int { return min(n-1, int(d.Float()*float64(n))) }

// Normal is a number of the standard normal distribution.
func (d *Dice) Normal() float64 {
	u := 1 - d.Float() // in (0, 1]
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*d.Float())
}

// Beta is a number of the distribution Beta(a, a).
func (d *Dice) Beta(a float64) float64 {
	x, y := d.gamma(a), d.gamma(a)
	if x+y == 0 { // a so small that both vanish: one of the ends
		return math.Round(d.Float())
	}
	return x / (x + y)
}

// gamma draws from Gamma(a, 1).
//
// Source: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.
func (d *Dice) gamma(a float64) float64 {
	if a < 1 {
		u := 1 - d.Float()
		return d.gamma(a+1) * math.Pow(u, 1/a)
	}
	b := a - 1.0/3
	c := 1 / math.Sqrt(9*b)
	for {
		x := d.Normal()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-d.Float()) < x*x/2+b-b*v+b*math.Log(v) {
			return b * v
		}
	}
}

// Augment says how a picture is changed at random, as torchvision's RandomResizedCrop,
// RandomHorizontalFlip and ColorJitter do, in this order.
type Augment struct {
	Width, Height int        // of the result; 0 leaves the size
	Scale         [2]float64 // bounds of the part's share of the area
	Ratio         [2]float64 // bounds of the part's width by its height
	Filter        string
	Flip          float64 // how likely left and right are mirrored
	// Brightness, Contrast and Saturation are how far the factors lie from 1 at
	// most; Hue is how far colours turn at most, up to 0.5.
	Brightness, Contrast, Saturation, Hue float64
}

// Check says what is wrong with a.
func (a Augment) Check() error {
	switch {
	case a.Width < 0 || a.Height < 0 || (a.Width == 0) != (a.Height == 0):
		return fmt.Errorf("the new size is %d x %d; want both, or neither", a.Width, a.Height)
	case a.Width > 0 && !(a.Scale[0] > 0 && a.Scale[0] <= a.Scale[1] && a.Scale[1] <= 1):
		return fmt.Errorf("scale is %v; want two shares of the area, the lesser first", a.Scale)
	case a.Width > 0 && !(a.Ratio[0] > 0 && a.Ratio[0] <= a.Ratio[1]):
		return fmt.Errorf("ratio is %v; want two ratios, the lesser first", a.Ratio)
	case !(a.Flip >= 0 && a.Flip <= 1):
		return fmt.Errorf("flip is %v; want a probability", a.Flip)
	case !(a.Brightness >= 0 && a.Contrast >= 0 && a.Saturation >= 0):
		return fmt.Errorf("brightness, contrast and saturation are %v, %v and %v; want at least 0", a.Brightness, a.Contrast, a.Saturation)
	case !(a.Hue >= 0 && a.Hue <= 0.5):
		return fmt.Errorf("hue is %v; want at most 0.5", a.Hue)
	}
	return nil
}

// Apply changes p.
func (a Augment) Apply(p *Picture, d *Dice) (*Picture, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	if a.Width > 0 {
		left, top, w, h := a.Part(p.Width, p.Height, d)
		part, err := p.Crop(left, top, w, h)
		if err != nil {
			return nil, err
		}
		if p, err = part.Resize(a.Width, a.Height, a.Filter); err != nil {
			return nil, err
		}
	}
	if d.Float() < a.Flip {
		p = p.FlipX()
	}
	return a.Jitter(p, d), nil
}

// Part draws a part of a picture: ten times, then the largest in the middle that has a fitting ratio.
func (a Augment) Part(width, height int, d *Dice) (left, top, w, h int) {
	area := float64(width) * float64(height)
	for range 10 {
		size := area * d.Between(a.Scale[0], a.Scale[1])
		ratio := math.Exp(d.Between(math.Log(a.Ratio[0]), math.Log(a.Ratio[1])))
		w, h = int(math.RoundToEven(math.Sqrt(size*ratio))), int(math.RoundToEven(math.Sqrt(size/ratio)))
		if 0 < w && w <= width && 0 < h && h <= height {
			return d.Int(width - w + 1), d.Int(height - h + 1), w, h
		}
	}
	w, h = width, height
	switch ratio := float64(width) / float64(height); {
	case ratio < a.Ratio[0]:
		h = min(height, max(1, int(math.RoundToEven(float64(w)/a.Ratio[0]))))
	case ratio > a.Ratio[1]:
		w = min(width, max(1, int(math.RoundToEven(float64(h)*a.Ratio[1]))))
	}
	return (width - w) / 2, (height - h) / 2, w, h
}

// Jitter changes colours, in an order that is drawn, too.
func (a Augment) Jitter(p *Picture, d *Dice) *Picture {
	factor := func(by float64) float64 { return d.Between(max(0, 1-by), 1+by) }
	b, c, s, h := factor(a.Brightness), factor(a.Contrast), factor(a.Saturation), d.Between(-a.Hue, a.Hue)
	steps := []func(p *Picture) *Picture{
		func(p *Picture) *Picture { return p.Brightness(b) },
		func(p *Picture) *Picture { return p.Contrast(c) },
		func(p *Picture) *Picture { return p.Saturation(s) },
		func(p *Picture) *Picture { return p.Hue(h) },
	}
	for i := len(steps) - 1; i > 0; i-- {
		j := d.Int(i + 1)
		steps[i], steps[j] = steps[j], steps[i]
	}
	for _, step := range steps {
		p = step(p)
	}
	return p
}
