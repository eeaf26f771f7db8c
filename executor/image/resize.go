package image

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// filter weighs source pixels by their distance from the middle of a new one, in pixels of
// the coarser of the two pictures.
type filter struct {
	name    string
	support float64 // beyond it the weight is 0
	weight  func(x float64) float64
}

// filters are those of Pillow. "nearest" has no weights.
func filters() []filter {
	return []filter{
		{"nearest", 0, nil},
		{"box", 0.5, func(x float64) float64 {
			if x > -0.5 && x <= 0.5 {
				return 1
			}
			return 0
		}},
		{"bilinear", 1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }},
		{"hamming", 1, hamming},
		{"bicubic", 2, bicubic},
		{"lanczos", 3, func(x float64) float64 {
			if x < -3 || x >= 3 {
				return 0
			}
			return sinc(x) * sinc(x/3)
		}},
	}
}

// Filters are the names of the ways to resize.
func Filters() (names []string) {
	for _, f := range filters() {
		names = append(names, f.name)
	}
	return names
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

func hamming(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x == 0:
		return 1
	case x >= 1:
		return 0
	}
	x *= math.Pi
	return math.Sin(x) / x * (0.54 + float64(0.46*math.Cos(x)))
}

// bicubic has the parameter -1/2. Source: Keys, "Cubic convolution interpolation", 1981.
func bicubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return float64((float64((a+2)*x)-(a+3))*x*x) + 1
	case x < 2:
		return (float64((float64((x-5)*x)+8)*x) - 4) * a
	}
	return 0
}

// taps are the source pixels of each new pixel of an axis, from first on, with weights
// that sum to 1.
type taps struct {
	first   []int
	weights [][]float64
}

// newTaps widens the filter where the axis shrinks, so that every pixel counts.
func newTaps(f filter, from, to int) taps {
	scale := float64(from) / float64(to)
	wide := max(1, scale)
	support, inverse := f.support*wide, 1/wide
	t := taps{make([]int, to), make([][]float64, to)}
	for i := range to {
		middle := (float64(i) + 0.5) * scale
		low := max(0, int(middle-support+0.5))
		high := min(from, int(middle+support+0.5))
		w, sum := make([]float64, high-low), 0.0
		for j := range w {
			w[j] = f.weight((float64(j+low) - middle + 0.5) * inverse)
			sum += w[j]
		}
		for j := range w {
			if sum != 0 {
				w[j] /= sum
			}
		}
		t.first[i], t.weights[i] = low, w
	}
	return t
}

// Resize returns p in another size, as Pillow's resize does, to the bit for 8 bits: along one axis
// after the other, each rounded; where a picture shrinks all of its pixels count; colours count
// by their alpha.
func (p *Picture) Resize(width, height int, name string) (*Picture, error) {
	i := slices.IndexFunc(filters(), func(f filter) bool { return f.name == name })
	switch {
	case i < 0:
		return nil, fmt.Errorf("no filter is called %q; there are %s", name, strings.Join(Filters(), ", "))
	case width < 1 || height < 1:
		return nil, fmt.Errorf("the new size is %d x %d; want at least 1 x 1", width, height)
	case int64(width)*int64(height) > MaxPixels:
		return nil, fmt.Errorf("the new size is %d x %d, %d pixels; want at most %d", width, height, int64(width)*int64(height), MaxPixels)
	case width == p.Width && height == p.Height:
		return p, nil
	case i == 0:
		return p.nearest(width, height), nil
	}
	q := p
	if p.alpha() {
		q = p.multiplied()
	}
	// Pillow 13 takes rows first where the height shrinks by more than twice what the width does.
	if height < p.Height && 2*(p.Width-width) < p.Height-height {
		q = q.rows(newTaps(filters()[i], q.Height, height))
	}
	if width != q.Width {
		q = q.columns(newTaps(filters()[i], q.Width, width))
	}
	if height != q.Height {
		q = q.rows(newTaps(filters()[i], q.Height, height))
	}
	if p.alpha() {
		q.divide()
	}
	return q, nil
}

// nearest takes the pixel in which the middle of the new one lies.
func (p *Picture) nearest(width, height int) *Picture {
	places := func(from, to int) []int {
		out, step := make([]int, to), float64(from)/float64(to)
		at := float64(step * 0.5)
		for i := range out {
			out[i] = min(int(at), from-1)
			at += step
		}
		return out
	}
	xs, ys := places(p.Width, width), places(p.Height, height)
	q := p.like(width, height)
	for y, j := range ys {
		for x, i := range xs {
			q.copyPixel(y*width+x, p, j*p.Width+i)
		}
	}
	return q
}

// bits of fraction of weights for samples of 8 bits: sums stay in 32 bits.
const bits = 32 - 8 - 2

// whole rounds weights to whole numbers.
func whole(w []float64) []int32 {
	out := make([]int32, len(w))
	for i, v := range w {
		out[i] = int32(math.Round(v * (1 << bits)))
	}
	return out
}

// columns resizes rows.
func (p *Picture) columns(t taps) *Picture {
	q, n := p.like(len(t.first), p.Height), p.Channels
	fixed := make([][]int32, len(t.first))
	for x, w := range t.weights {
		fixed[x] = whole(w)
	}
	parallel(p.Height, func(y int) {
		for x, first := range t.first {
			from, to := (y*p.Width+first)*n, (y*q.Width+x)*n
			for c := range n {
				if p.Deep != nil {
					q.Deep[to+c] = sum16(p.Deep[from+c:], t.weights[x], n)
				} else {
					q.Pix[to+c] = sum8(p.Pix[from+c:], fixed[x], n)
				}
			}
		}
	})
	return q
}

// parallel calls f with the numbers below n, in ranges, on all processors.
func parallel(n int, f func(i int)) {
	var wait sync.WaitGroup
	workers := min(n, runtime.GOMAXPROCS(0))
	for w := range workers {
		wait.Go(func() {
			for i := n * w / workers; i < n*(w+1)/workers; i++ {
				f(i)
			}
		})
	}
	wait.Wait()
}

// rows resizes columns.
func (p *Picture) rows(t taps) *Picture {
	q, row := p.like(p.Width, len(t.first)), p.Width*p.Channels
	parallel(q.Height, func(y int) {
		if p.Deep != nil {
			sums := make([]float64, row)
			for j, w := range t.weights[y] {
				for x, v := range p.Deep[(t.first[y]+j)*row:][:row] {
					sums[x] += float64(float64(v) * w)
				}
			}
			for x, v := range sums {
				q.Deep[y*row+x] = clip16(v)
			}
			return
		}
		sums := make([]int32, row)
		for j, w := range whole(t.weights[y]) {
			for x, v := range p.Pix[(t.first[y]+j)*row:][:row] {
				sums[x] += int32(v) * w
			}
		}
		for x, v := range sums {
			q.Pix[y*row+x] = clamp((v + 1<<(bits-1)) >> bits)
		}
	})
	return q
}

// sum8 weighs samples that lie apart.
func sum8(from []uint8, w []int32, apart int) uint8 {
	s := int32(1 << (bits - 1))
	for j, v := range w {
		s += int32(from[j*apart]) * v
	}
	return clamp(s >> bits)
}

func sum16(from []uint16, w []float64, apart int) uint16 {
	s := 0.0
	for j, v := range w {
		s += float64(float64(from[j*apart]) * v)
	}
	return clip16(s)
}

func clip16(v float64) uint16 { return uint16(max(0, min(65535, math.Floor(v+0.5)))) }

// multiplied returns p with alpha multiplied into colours.
func (p *Picture) multiplied() *Picture {
	q, n := p.like(p.Width, p.Height), p.Channels
	for i := range p.Width * p.Height {
		at := i * n
		for c := range n - 1 {
			if p.Deep != nil {
				q.Deep[at+c] = uint16((uint64(p.Deep[at+c])*uint64(p.Deep[at+n-1]) + 32767) / 65535)
			} else {
				q.Pix[at+c] = uint8(divide255(uint32(p.Pix[at+c]) * uint32(p.Pix[at+n-1])))
			}
		}
		if p.Deep != nil {
			q.Deep[at+n-1] = p.Deep[at+n-1]
		} else {
			q.Pix[at+n-1] = p.Pix[at+n-1]
		}
	}
	return q
}

// divide takes alpha out of colours again.
func (p *Picture) divide() {
	n := p.Channels
	for i := range p.Width * p.Height {
		at := i * n
		if p.Deep != nil {
			for a, c := uint64(p.Deep[at+n-1]), 0; a != 0 && c < n-1; c++ {
				p.Deep[at+c] = uint16(min(65535, uint64(p.Deep[at+c])*65535/a))
			}
			continue
		}
		for a, c := uint32(p.Pix[at+n-1]), 0; a != 0 && c < n-1; c++ {
			p.Pix[at+c] = uint8(min(255, uint32(p.Pix[at+c])*255/a))
		}
	}
}
