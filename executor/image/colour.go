package image

import "math"

// Colours are written as Pillow's ImageEnhance and conversions do it, to the bit for 8 bits. Pictures of
// 16 bits go by the same formulas in their own range. Alpha stays as it is.

// Brightness multiplies colours: 0 is black, 1 leaves them.
func (p *Picture) Brightness(factor float64) *Picture {
	return p.blended(factor, func([]float32) [3]float32 { return [3]float32{} })
}

// Contrast moves colours away from the mean grey of the picture: 0 is all grey, 1 leaves them.
func (p *Picture) Contrast(factor float64) *Picture {
	grey := p.WithChannels(1)
	sum := 0.0
	for _, v := range grey.Pix {
		sum += float64(v)
	}
	for _, v := range grey.Deep {
		sum += float64(v)
	}
	mean := float32(math.Floor(sum/float64(p.Width*p.Height) + 0.5))
	return p.blended(factor, func([]float32) [3]float32 { return [3]float32{mean, mean, mean} })
}

// Saturation moves colours away from their grey: 0 is grey, 1 leaves them.
func (p *Picture) Saturation(factor float64) *Picture {
	if p.Channels < 3 {
		return p
	}
	return p.blended(factor, func(c []float32) [3]float32 {
		grey := float32(luma(uint16(c[0]), uint16(c[1]), uint16(c[2])))
		return [3]float32{grey, grey, grey}
	})
}

// blended is base + factor (p - base) of every colour, cut off towards 0.
func (p *Picture) blended(factor float64, base func(c []float32) [3]float32) *Picture {
	if factor == 1 {
		return p
	}
	q, f := p.like(p.Width, p.Height), float32(factor)
	n, colours := p.Channels, (p.Channels-1)/2*2+1
	var c [3]float32
	for i := 0; i < p.Width*p.Height*n; i += n {
		for j := range colours {
			c[j] = p.at(i + j)
		}
		b := base(c[:colours])
		for j := range colours {
			q.set(i+j, b[j]+float32(f*(c[j]-b[j])))
		}
		if p.alpha() {
			q.set(i+n-1, p.at(i+n-1))
		}
	}
	return q
}

func (p *Picture) at(i int) float32 {
	if p.Deep != nil {
		return float32(p.Deep[i])
	}
	return float32(p.Pix[i])
}

// set cuts a value off to a sample.
func (p *Picture) set(i int, v float32) {
	if p.Deep != nil {
		p.Deep[i] = uint16(max(0, min(65535, v)))
	} else {
		p.Pix[i] = uint8(max(0, min(255, v)))
	}
}

// Hue turns colours by a share of the circle, from -0.5 to 0.5, in steps of 1/256 as torchvision
// does it with pictures. It computes in 8 bits.
func (p *Picture) Hue(turn float64) *Picture {
	if p.Channels < 3 || turn == 0 {
		return p
	}
	q := p.WithBits(8).clone()
	by := uint8(int(turn * 255))
	for i := 0; i < len(q.Pix); i += p.Channels {
		h, s, v := hsv(q.Pix[i], q.Pix[i+1], q.Pix[i+2])
		q.Pix[i], q.Pix[i+1], q.Pix[i+2] = rgb(h+by, s, v)
	}
	return q.WithBits(p.Bits())
}

func (p *Picture) clone() *Picture {
	q := *p
	q.Pix, q.Deep = append([]uint8(nil), p.Pix...), append([]uint16(nil), p.Deep...)
	if p.Deep == nil {
		q.Deep = nil
	}
	return &q
}

// hsv is hue, saturation and value in 8 bits each.
func hsv(r, g, b uint8) (h, s, v uint8) {
	most, least := max(r, g, b), min(r, g, b)
	if most == least {
		return 0, 0, most
	}
	span := float32(most - least)
	saturation := span / float32(most)
	from := func(c uint8) float64 { return float64(float32(most-c) / span) }
	var hue float32
	switch most {
	case r:
		hue = float32(from(b)) - float32(from(g))
	case g:
		hue = float32(2 + from(r) - from(b))
	default:
		hue = float32(4 + from(g) - from(r))
	}
	hue = float32(math.Mod(float64(hue)/6+1, 1))
	return uint8(float64(hue) * 255), uint8(float64(saturation) * 255), most
}

func rgb(h, s, v uint8) (r, g, b uint8) {
	if s == 0 {
		return v, v, v
	}
	sector := math.Floor(float64(float32(h)) * 6 / 255)
	f := float64(float32(float64(float64(float32(h))*6/255) - sector))
	share, value := float64(float32(float64(s)/255)), float64(v)
	p := uint8(math.Round(value * (1 - share)))
	q := uint8(math.Round(value * (1 - float64(share*f))))
	t := uint8(math.Round(value * (1 - float64(share*(1-f)))))
	switch int(sector) % 6 {
	case 0:
		return v, t, p
	case 1:
		return q, v, p
	case 2:
		return p, v, t
	case 3:
		return p, q, v
	case 4:
		return t, p, v
	}
	return v, p, q
}
