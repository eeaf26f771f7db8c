package image

import (
	"errors"
	"fmt"
	"math"
)

// Normal says how samples from 0 to 1 become numbers for a model: (v - Mean) / Std, with one
// number for all channels or one for each.
type Normal struct{ Mean, Std []float64 }

// of returns the numbers for n channels.
func (a Normal) of(n int) (mean, std []float32, err error) {
	spread := func(name string, list []float64, fallback float64) ([]float32, error) {
		if len(list) != 0 && len(list) != 1 && len(list) != n {
			return nil, fmt.Errorf("%s has %d numbers; want 1, or one for each of %d channels", name, len(list), n)
		}
		out := make([]float32, n)
		for i := range out {
			switch len(list) {
			case 0:
				out[i] = float32(fallback)
			case 1:
				out[i] = float32(list[0])
			default:
				out[i] = float32(list[i])
			}
		}
		return out, nil
	}
	if mean, err = spread("mean", a.Mean, 0); err == nil {
		std, err = spread("std", a.Std, 1)
	}
	for _, v := range std {
		if v == 0 {
			err = errors.New("std is 0")
		}
	}
	return mean, std, err
}

// Tensor is pictures of one size as numbers, channel by channel.
//
//	returns [pictures, channels, height, width]
func Tensor(list []*Picture, a Normal) (data []float32, shape [4]int, err error) {
	if len(list) == 0 {
		return nil, shape, errors.New("there are no pictures")
	}
	p := list[0]
	mean, std, err := a.of(p.Channels)
	if err != nil {
		return nil, shape, err
	}
	pixels := p.Width * p.Height
	data = make([]float32, 0, len(list)*pixels*p.Channels)
	for i, q := range list {
		if q.Width != p.Width || q.Height != p.Height || q.Channels != p.Channels {
			return nil, shape, fmt.Errorf("picture %d is %v and the first one %v; a tensor has pictures of one size and kind", i, q, p)
		}
		top := float32(int(1)<<q.Bits() - 1)
		for c := range q.Channels {
			for j := c; j < pixels*q.Channels; j += q.Channels {
				data = append(data, float32(float32(q.at(j)/top)-mean[c])/std[c])
			}
		}
	}
	return data, [4]int{len(list), p.Channels, p.Height, p.Width}, nil
}

// FromTensor returns pictures of numbers: v Std + Mean, cut off at 0 and 1 and rounded to 8 or 16 bits.
// What is no number is an error.
//
//	plane(i) [height, width] and perhaps more behind it; i counts channels of the first picture, then those of the next
func FromTensor(plane func(i int) []float32, shape [4]int, a Normal, bits int) ([]*Picture, error) {
	n, channels, h, w := shape[0], shape[1], shape[2], shape[3]
	if channels < 1 || channels > 4 || n < 1 || h < 1 || w < 1 {
		return nil, fmt.Errorf("%v are no pictures; want [pictures, channels, height, width] with 1 to 4 channels", shape)
	}
	mean, std, err := a.of(channels)
	if err != nil {
		return nil, err
	}
	top := float64(int(1)<<bits - 1)
	list := make([]*Picture, n)
	for i := range list {
		p := New(w, h, channels, bits == 16)
		for c := range channels {
			for j, v := range plane(i*channels + c)[:h*w] {
				v = float32(v*std[c]) + mean[c]
				if v != v {
					return nil, fmt.Errorf("element [%d, %d, %d, %d] is not a number", i, c, j/w, j%w)
				}
				p.set(j*channels+c, float32(math.RoundToEven(float64(max(0, min(1, v)))*top)))
			}
		}
		list[i] = p
	}
	return list, nil
}

// Mixup mixes each item of a batch with the one before it (the first with the last): lambda of its
// own and 1 - lambda of the other's numbers and labels.
//
//	x [n, ...]   labels [n, classes]
//
// Source: arXiv:1710.09412.
func Mixup(x, labels []float32, n int, lambda float64) (mixed, targets []float32) {
	return blendItems(x, n, lambda), blendItems(labels, n, lambda)
}

func blendItems(x []float32, n int, lambda float64) []float32 {
	out, size, l := make([]float32, len(x)), len(x)/max(1, n), float32(lambda)
	rest := float32(1 - lambda)
	for i := range out {
		out[i] = float32(x[i]*l) + float32(x[(i+len(x)-size)%len(x)]*rest)
	}
	return out
}

// CutMix replaces a box of each picture of a batch by that of the one before it (of the first by that of the last),
// and mixes labels by what share of the area is its own. The box is 1 - lambda of
// the area, around a point that is drawn, and cut off at the borders.
//
//	x [n, channels, height, width]   labels [n, classes]
//
// Source: arXiv:1905.04899.
func CutMix(x, labels []float32, shape [4]int, lambda float64, d *Dice) (mixed, targets []float32) {
	n, channels, h, w := shape[0], shape[1], shape[2], shape[3]
	left, top, right, bottom := cutBox(w, h, lambda, d)
	mixed = append([]float32(nil), x...)
	size := channels * h * w
	for plane := range n * channels {
		other := (plane*h*w + len(x) - size) % len(x)
		for y := top; y < bottom; y++ {
			copy(mixed[(plane*h+y)*w+left:(plane*h+y)*w+right], x[other+y*w+left:])
		}
	}
	return mixed, blendItems(labels, n, ownShare(w, h, left, top, right, bottom))
}

// CutShare is the share of its own that a picture keeps by CutMix with the same lambda and dice.
func CutShare(w, h int, lambda float64, d *Dice) float64 {
	left, top, right, bottom := cutBox(w, h, lambda, d)
	return ownShare(w, h, left, top, right, bottom)
}

func cutBox(w, h int, lambda float64, d *Dice) (left, top, right, bottom int) {
	cx, cy, r := d.Int(w), d.Int(h), 0.5*math.Sqrt(max(0, 1-lambda))
	left, right = max(0, cx-int(r*float64(w))), min(w, cx+int(r*float64(w)))
	top, bottom = max(0, cy-int(r*float64(h))), min(h, cy+int(r*float64(h)))
	return left, top, right, bottom
}

func ownShare(w, h, left, top, right, bottom int) float64 {
	return 1 - float64(right-left)*float64(bottom-top)/float64(w*h)
}
