package image

import (
	stdimage "image"
	"image/color"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// lineHeight is that of a line of text below a picture, in pixels.
const lineHeight = 14

// Card puts a picture into a frame of a size, scaled down to fit it and in 8 bits of red, green and blue, with lines of text below, cut off where
// they are wider.
func Card(p *Picture, width, height int, lines []string) (*Picture, error) {
	p = p.WithBits(8).Over(255, 255, 255).WithChannels(3)
	if p.Width > width || p.Height > height {
		var err error
		if p, err = p.Fit(width, height, "inside", "bilinear"); err != nil {
			return nil, err
		}
	}
	q := New(width, height+lineHeight*len(lines), 3, false)
	for i := range q.Pix {
		q.Pix[i] = 255
	}
	place(q.Pix, p.Pix, q, p, (width-p.Width)/2, (height-p.Height)/2)
	for i, line := range lines {
		write(q, line, height+lineHeight*i)
	}
	return q, nil
}

// write draws a line of text below top.
func write(p *Picture, line string, top int) {
	m := stdimage.NewGray(stdimage.Rect(0, 0, p.Width, lineHeight))
	face := basicfont.Face7x13
	d := font.Drawer{Dst: m, Src: stdimage.NewUniform(color.White), Face: face, Dot: fixed.P(1, face.Ascent)}
	d.DrawString(line)
	for y := range lineHeight {
		for x := range p.Width {
			for c := range 3 {
				p.Pix[((top+y)*p.Width+x)*3+c] -= m.Pix[y*m.Stride+x]
			}
		}
	}
}
