// Package image holds pictures: what files of them say (PNG, JPEG, WebP, GIF), and what
// is done to them before and after a model: resizing as Pillow does it, cutting, turning,
// colours, random changes that are drawn from a seed, and tensors of them.
//
// Values are those of the file in sRGB: profiles and gamma are not applied. Of an
// animation the first frame is read.
package image

import (
	"fmt"
	stdimage "image"
	"image/color"
)

// Picture is rows of pixels from top to bottom, each of Channels samples: grey; grey and
// alpha; red, green and blue; or these and alpha, which is not multiplied into colours.
//
//	Pix or Deep [Height, Width, Channels]
type Picture struct {
	Width, Height, Channels int
	Pix                     []uint8  // samples from 0 to 255; nil where there are Deep ones
	Deep                    []uint16 // samples from 0 to 65535, or nil
	Text                    []Text   // what the file says besides the picture
}

// Text is a remark in a file.
type Text struct{ Key, Value string }

// sample is the type of the numbers of a picture.
type sample interface{ uint8 | uint16 }

// New returns a black picture, transparent if it has alpha.
func New(width, height, channels int, deep bool) *Picture {
	p := &Picture{Width: width, Height: height, Channels: channels}
	if n := width * height * channels; deep {
		p.Deep = make([]uint16, n)
	} else {
		p.Pix = make([]uint8, n)
	}
	return p
}

// like returns a black picture of p's kind and texts, of another size.
func (p *Picture) like(width, height int) *Picture {
	q := New(width, height, p.Channels, p.Deep != nil)
	q.Text = p.Text
	return q
}

// alpha reports whether the last channel is how opaque a pixel is.
func (p *Picture) alpha() bool { return p.Channels%2 == 0 }

// Bits is 8 or 16.
func (p *Picture) Bits() int {
	if p.Deep != nil {
		return 16
	}
	return 8
}

// String is the size and kind: "640x480 rgb, 8 bits".
func (p *Picture) String() string {
	return fmt.Sprintf("%dx%d %s, %d bits", p.Width, p.Height, Modes()[p.Channels-1], p.Bits())
}

// Modes are the names of pictures of 1, 2, 3 and 4 channels.
func Modes() []string { return []string{"grey", "grey_alpha", "rgb", "rgba"} }

// WithBits returns p in samples of 8 or 16 bits; 8 are rounded: v/257.
func (p *Picture) WithBits(bits int) *Picture {
	if p.Bits() == bits {
		return p
	}
	q := New(p.Width, p.Height, p.Channels, bits == 16)
	q.Text = p.Text
	for i := range q.Deep {
		q.Deep[i] = uint16(p.Pix[i]) * 257
	}
	for i := range q.Pix {
		q.Pix[i] = uint8((uint32(p.Deep[i])*255 + 32767) / 65535)
	}
	return q
}

// WithChannels returns p with another number of channels. Colours become grey as Pillow has
// it, 0.299 R + 0.587 G + 0.114 B in whole numbers; alpha is added as opaque, or
// left out: see Over for what stands behind.
func (p *Picture) WithChannels(n int) *Picture {
	if p.Channels == n {
		return p
	}
	q := New(p.Width, p.Height, n, p.Deep != nil)
	q.Text = p.Text
	if p.Deep != nil {
		rechannel(q.Deep, p.Deep, n, p.Channels, 65535)
	} else {
		rechannel(q.Pix, p.Pix, n, p.Channels, 255)
	}
	return q
}

func rechannel[T sample](to, from []T, n, m int, top T) {
	for i, j := 0, 0; i < len(to); i, j = i+n, j+m {
		switch {
		case m <= 2 && n <= 2, m > 2 && n > 2:
			copy(to[i:i+n], from[j:j+m])
		case n <= 2:
			to[i] = luma(from[j], from[j+1], from[j+2])
		default:
			to[i], to[i+1], to[i+2] = from[j], from[j], from[j]
		}
		if n%2 == 0 {
			to[i+n-1] = top
			if m%2 == 0 {
				to[i+n-1] = from[j+m-1]
			}
		}
	}
}

// luma is the grey of a colour: ITU-R 601-2, in 16 bits of fraction.
func luma[T sample](r, g, b T) T {
	return T((uint64(r)*19595 + uint64(g)*38470 + uint64(b)*7471 + 0x8000) >> 16)
}

// Over returns p without alpha, before a background of one colour in 8 bits.
func (p *Picture) Over(red, green, blue uint8) *Picture {
	if !p.alpha() {
		return p
	}
	q := p.WithChannels(p.Channels - 1)
	back := []uint8{red, green, blue}
	if q.Channels == 1 {
		back = []uint8{luma(red, green, blue)}
	}
	if p.Deep != nil {
		overlay(q.Deep, p.Deep, back, 65535)
	} else {
		overlay(q.Pix, p.Pix, back, 255)
	}
	return q
}

func overlay[T sample](to, from []T, back []uint8, top uint64) {
	n := len(back)
	for i, j := 0, 0; i < len(to); i, j = i+n, j+n+1 {
		a := uint64(from[j+n])
		for c := range n {
			b := uint64(back[c]) * (top / 255)
			to[i+c] = T((uint64(from[j+c])*a + b*(top-a) + top/2) / top)
		}
	}
}

// standard is p as Go's packages write it. Grey with alpha becomes colours with alpha.
func (p *Picture) standard() stdimage.Image {
	if p.Channels == 2 {
		p = p.WithChannels(4)
	} else if p.Channels == 3 {
		p = p.WithChannels(4) // opaque, so that no alpha is written
	}
	box := stdimage.Rect(0, 0, p.Width, p.Height)
	if p.Deep == nil && p.Channels == 1 {
		return &stdimage.Gray{Pix: p.Pix, Stride: p.Width, Rect: box}
	} else if p.Deep == nil {
		return &stdimage.NRGBA{Pix: p.Pix, Stride: 4 * p.Width, Rect: box}
	}
	wide := make([]byte, 2*len(p.Deep)) // big-endian
	for i, v := range p.Deep {
		wide[2*i], wide[2*i+1] = byte(v>>8), byte(v)
	}
	if p.Channels == 1 {
		return &stdimage.Gray16{Pix: wide, Stride: 2 * p.Width, Rect: box}
	}
	return &stdimage.NRGBA64{Pix: wide, Stride: 8 * p.Width, Rect: box}
}

// fromStandard reads what Go's packages give, but for JPEG and WebP.
func fromStandard(m stdimage.Image) (*Picture, error) {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	switch m := m.(type) {
	case *stdimage.Gray:
		return &Picture{Width: w, Height: h, Channels: 1, Pix: rows(m.Pix, m.Stride, w, h)}, nil
	case *stdimage.NRGBA:
		return &Picture{Width: w, Height: h, Channels: 4, Pix: rows(m.Pix, m.Stride, 4*w, h)}, nil
	case *stdimage.RGBA: // of opaque pixels, as decoders give it
		p := &Picture{Width: w, Height: h, Channels: 4, Pix: rows(m.Pix, m.Stride, 4*w, h)}
		return p.WithChannels(3), nil
	case *stdimage.Gray16:
		return &Picture{Width: w, Height: h, Channels: 1, Deep: words(rows(m.Pix, m.Stride, 2*w, h))}, nil
	case *stdimage.NRGBA64:
		return &Picture{Width: w, Height: h, Channels: 4, Deep: words(rows(m.Pix, m.Stride, 8*w, h))}, nil
	case *stdimage.RGBA64:
		p := &Picture{Width: w, Height: h, Channels: 4, Deep: words(rows(m.Pix, m.Stride, 8*w, h))}
		return p.WithChannels(3), nil
	case *stdimage.Paletted:
		return fromPalette(m), nil
	}
	return nil, fmt.Errorf("holds pixels of a kind that is not read (%T)", m)
}

// fromPalette gives colours, with alpha if a colour that occurs is not opaque.
func fromPalette(m *stdimage.Paletted) *Picture {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	var colours [256][4]uint8
	for i := range colours {
		if i >= len(m.Palette) {
			colours[i][3] = 255 // an index beyond the palette is black
			continue
		}
		c := color.NRGBAModel.Convert(m.Palette[i]).(color.NRGBA)
		colours[i] = [4]uint8{c.R, c.G, c.B, c.A}
	}
	p, clear := New(w, h, 4, false), false
	for y := range h {
		for x, v := range m.Pix[y*m.Stride:][:w] {
			copy(p.Pix[4*(y*w+x):], colours[v][:])
			clear = clear || colours[v][3] < 255
		}
	}
	if !clear {
		return p.WithChannels(3)
	}
	return p
}

// rows copies n bytes of each of h rows that lie apart.
func rows(pix []uint8, apart, n, h int) []uint8 {
	if apart == n {
		return pix[:n*h]
	}
	out := make([]uint8, 0, n*h)
	for y := range h {
		out = append(out, pix[y*apart:][:n]...)
	}
	return out
}

// words reads big-endian numbers.
func words(b []byte) []uint16 {
	out := make([]uint16, len(b)/2)
	for i := range out {
		out[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	return out
}
