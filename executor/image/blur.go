package image

import "math"

// Blur spreads every pixel by a normal distribution with a standard deviation in
// pixels, approximated by three means over boxes with fractional ends, as
// Pillow's GaussianBlur does, to the bit for 8 bits. Pixels beyond the border are as
// those on it. Alpha is blurred by itself.
//
// Source: Gwosdek et al., "Theoretical Foundations of Gaussian Convolution by
// Extended Box Filtering", 2011.
func (p *Picture) Blur(deviation float64) *Picture {
	radius := boxRadius(deviation, blurPasses)
	if radius == 0 {
		return p
	}
	q := p.like(p.Width, p.Height)
	copy(q.Pix, p.Pix)
	copy(q.Deep, p.Deep)
	n := p.Channels
	for _, axis := range []struct{ lines, length, line, step int }{{p.Height, p.Width, p.Width * n, n}, {p.Width, p.Height, n, p.Width * n}} {
		parallel(axis.lines, func(i int) {
			for c := range n {
				if q.Deep != nil {
					boxes(q.Deep[i*axis.line+c:], axis.length, axis.step, radius)
				} else {
					boxes(q.Pix[i*axis.line+c:], axis.length, axis.step, radius)
				}
			}
		})
	}
	return q
}

const blurPasses = 3

// boxRadius is half the width of the boxes of which so many in turn have the
// deviation of a normal distribution, the middle pixel left out.
func boxRadius(deviation float64, passes float64) float64 {
	variance := float32(deviation*deviation) / float32(passes)
	length := float32(math.Sqrt(12*float64(variance) + 1))
	whole := float32(math.Floor((float64(length) - 1) / 2))
	part := (2*whole + 1) * (whole*(whole+1) - 3*variance) / (6 * (variance - (whole+1)*(whole+1)))
	return float64(whole + part)
}

// boxes takes the mean over a box, three times, of samples that lie step apart.
func boxes[T sample](line []T, length, step int, radius float64) {
	const shift = 24
	whole := int(radius)
	inner := uint64(float32(uint64(1)<<shift) / (float32(radius)*2 + 1))
	outer := (uint64(1)<<shift - uint64(2*whole+1)*inner) / 2
	from, at := make([]uint64, length), func(i int) int { return min(max(i, 0), length-1) }
	for range blurPasses {
		for i := range from {
			from[i] = uint64(line[i*step])
		}
		sum := uint64(0)
		for i := -whole; i <= whole; i++ {
			sum += from[at(i)]
		}
		for i := range from {
			v := sum*inner + (from[at(i-whole-1)]+from[at(i+whole+1)])*outer
			line[i*step] = T((v + 1<<(shift-1)) >> shift)
			sum += from[at(i+whole+1)] - from[at(i-whole)]
		}
	}
}
