package image

import (
	"bytes"
	stdimage "image"
	"image/gif"
)

func gifConfig(data []byte) (int, int, error) {
	return size(gif.DecodeConfig(bytes.NewReader(data)))
}

// decodeGIF reads the first frame, in its place; around it nothing is.
func decodeGIF(data []byte) (*Picture, error) {
	c, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	m, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	frame, err := fromStandard(m)
	if err != nil {
		return nil, err
	}
	return frame.placed(m.Bounds(), c.Width, c.Height), nil
}

// placed lays p at a place of an empty canvas.
func (p *Picture) placed(at stdimage.Rectangle, width, height int) *Picture {
	if at == stdimage.Rect(0, 0, width, height) {
		return p
	}
	p = p.WithChannels(4)
	q := New(width, height, 4, false)
	for y := range p.Height {
		copy(q.Pix[4*((at.Min.Y+y)*width+at.Min.X):], p.Pix[4*y*p.Width:][:4*p.Width])
	}
	return q
}
