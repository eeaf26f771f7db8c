package image

import "math"

// Rotate turns p counter-clockwise around its middle, as Pillow's rotate does, to the bit for 8 bits; the size stays, and
// where nothing comes in it is black, or transparent. Pixels are the nearest ones, or made of four.
func (p *Picture) Rotate(degrees float64, bilinear bool) *Picture {
	degrees = math.Mod(degrees, 360)
	if degrees < 0 {
		degrees += 360
	}
	switch {
	case degrees == 0:
		return p
	case degrees == 180:
		return p.Turned(3)
	case degrees == 90 && p.Width == p.Height:
		return p.Turned(8)
	case degrees == 270 && p.Width == p.Height:
		return p.Turned(6)
	}
	angle := -degrees * math.Pi / 180
	short := func(v float64) float64 { return math.Round(v*1e15) / 1e15 }
	cos, sin := short(math.Cos(angle)), short(math.Sin(angle))
	x, y := float64(p.Width)/2, float64(p.Height)/2
	// Where the middle (x+1/2, y+1/2) of a new pixel comes from.
	m := [6]float64{cos, sin, x - float64(cos*x) - float64(sin*y), -sin, cos, y + float64(sin*x) - float64(cos*y)}
	if bilinear {
		return p.between(m)
	}
	return p.fixed(m)
}

// fixed takes the pixels in which middles lie, in 16 bits of fraction.
func (p *Picture) fixed(m [6]float64) *Picture {
	q := p.like(p.Width, p.Height)
	fix := func(v float64) int64 { return int64(math.Floor(v*65536 + 0.5)) }
	rowX, rowY := fix(m[2]+float64(m[0]*0.5)+float64(m[1]*0.5)), fix(m[5]+float64(m[3]*0.5)+float64(m[4]*0.5))
	for y := range q.Height {
		fromX, fromY := rowX, rowY
		for x := range q.Width {
			i, j := fromX>>16, fromY>>16
			if i >= 0 && i < int64(p.Width) && j >= 0 && j < int64(p.Height) {
				q.copyPixel(y*q.Width+x, p, int(j)*p.Width+int(i))
			}
			fromX, fromY = fromX+fix(m[0]), fromY+fix(m[3])
		}
		rowX, rowY = rowX+fix(m[1]), rowY+fix(m[4])
	}
	return q
}

// between weighs the four pixels around each middle.
func (p *Picture) between(m [6]float64) *Picture {
	q, n := p.like(p.Width, p.Height), p.Channels
	near := func(i, size int) int { return max(0, min(size-1, i)) }
	for y := range q.Height {
		for x := range q.Width {
			midX, midY := float64(x)+0.5, float64(y)+0.5
			fromX, fromY := float64(m[0]*midX)+float64(m[1]*midY)+m[2], float64(m[3]*midX)+float64(m[4]*midY)+m[5]
			if fromX < 0 || fromX >= float64(p.Width) || fromY < 0 || fromY >= float64(p.Height) {
				continue
			}
			fromX, fromY = fromX-0.5, fromY-0.5
			i, j := int(math.Floor(fromX)), int(math.Floor(fromY))
			dx, dy := fromX-float64(i), fromY-float64(j)
			left, right := near(i, p.Width), near(i+1, p.Width)
			across := func(row, c int) float64 {
				a, b := float64(p.at((row*p.Width+left)*n+c)), float64(p.at((row*p.Width+right)*n+c))
				return a + float64((b-a)*dx)
			}
			for c := range n {
				v := across(near(j, p.Height), c)
				if j+1 < p.Height {
					v += float64((across(j+1, c) - v) * dy)
				}
				q.set((y*q.Width+x)*n+c, float32(v))
			}
		}
	}
	return q
}
