package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	stdimage "image"

	"golang.org/x/image/webp"
)

func isWebP(data []byte) bool {
	return len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP"
}

// webpParts are the chunks of a file: of an animation, those of its first frame.
type webpParts struct {
	width, height       int // of the canvas
	frame               stdimage.Rectangle
	picture, alpha, exf []byte
	kind                string // of the picture: "VP8 " or "VP8L"
}

// webpChunks visits the chunks in data.
func webpChunks(data []byte, visit func(kind string, body []byte) error) error {
	for len(data) >= 8 {
		n := int64(binary.LittleEndian.Uint32(data[4:]))
		if n > int64(len(data)-8) {
			return errors.New("its data end early")
		}
		if err := visit(string(data[:4]), data[8:8+n]); err != nil {
			return err
		}
		data = data[8+n:]
		if n%2 == 1 && len(data) > 0 {
			data = data[1:]
		}
	}
	return nil
}

func u24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// readWebP finds the chunks and proves their sizes against one another, so that a small canvas
// does not hide a large picture.
func readWebP(data []byte) (*webpParts, error) {
	var w webpParts
	visit := func(kind string, body []byte) error {
		switch {
		case kind == "VP8X" && len(body) >= 10:
			w.width, w.height = 1+u24(body[4:]), 1+u24(body[7:])
		case kind == "EXIF":
			w.exf = body
		case kind == "ANMF" && w.picture == nil && len(body) >= 16:
			x, y := 2*u24(body), 2*u24(body[3:])
			w.frame = stdimage.Rect(x, y, x+1+u24(body[6:]), y+1+u24(body[9:]))
			return webpChunks(body[16:], w.still)
		case w.frame.Empty():
			return w.still(kind, body)
		}
		return nil
	}
	if err := webpChunks(data[12:], visit); err != nil {
		return nil, err
	}
	if w.picture == nil {
		return nil, errors.New("it holds no picture")
	}
	width, height, err := w.size()
	if err != nil {
		return nil, err
	}
	if w.width == 0 {
		w.width, w.height = width, height
	}
	if w.frame.Empty() {
		w.frame = stdimage.Rect(0, 0, w.width, w.height)
	}
	if w.frame.Dx() != width || w.frame.Dy() != height || !w.frame.In(stdimage.Rect(0, 0, w.width, w.height)) {
		return nil, fmt.Errorf("a frame at %v on a canvas of %d x %d holds a picture of %d x %d", w.frame, w.width, w.height, width, height)
	}
	return &w, nil
}

// still takes the chunks of one picture.
func (w *webpParts) still(kind string, body []byte) error {
	switch {
	case w.picture != nil:
	case kind == "ALPH":
		w.alpha = body
	case kind == "VP8 " || kind == "VP8L":
		w.picture, w.kind = body, kind
	}
	return nil
}

// size reads the header of the picture.
func (w *webpParts) size() (width, height int, err error) {
	b := w.picture
	switch {
	case w.kind == "VP8L" && len(b) >= 5 && b[0] == 0x2f:
		v := binary.LittleEndian.Uint32(b[1:])
		return 1 + int(v&0x3fff), 1 + int(v>>14&0x3fff), nil
	case w.kind == "VP8 " && len(b) >= 10 && b[3] == 0x9d && b[4] == 0x01 && b[5] == 0x2a:
		return int(binary.LittleEndian.Uint16(b[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(b[8:]) & 0x3fff), nil
	}
	return 0, 0, errors.New("the header of its picture is damaged")
}

func webpConfig(data []byte) (int, int, error) {
	w, err := readWebP(data)
	if err != nil {
		return 0, 0, err
	}
	return w.width, w.height, nil
}

func webpExif(data []byte) []byte {
	w, err := readWebP(data)
	if err != nil {
		return nil
	}
	return w.exf
}

// alone is a file of the one picture.
func (w *webpParts) alone() []byte {
	chunk := func(kind string, body []byte) []byte {
		out := binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body)))
		if out = append(out, body...); len(body)%2 == 1 {
			out = append(out, 0)
		}
		return out
	}
	body := []byte("WEBP")
	if w.alpha != nil && w.kind == "VP8 " {
		x, y := w.frame.Dx()-1, w.frame.Dy()-1
		const alpha = 0x10
		body = append(body, chunk("VP8X", []byte{alpha, 0, 0, 0, byte(x), byte(x >> 8), byte(x >> 16), byte(y), byte(y >> 8), byte(y >> 16)})...)
		body = append(body, chunk("ALPH", w.alpha)...)
	}
	return chunk("RIFF", append(body, chunk(w.kind, w.picture)...))
}

func decodeWebP(data []byte) (*Picture, error) {
	w, err := readWebP(data)
	if err != nil {
		return nil, err
	}
	m, err := webp.Decode(bytes.NewReader(w.alone()))
	if err != nil {
		return nil, err
	}
	var p *Picture
	switch m := m.(type) {
	case *stdimage.YCbCr:
		p = fromVideo(m, nil, 0)
	case *stdimage.NYCbCrA:
		p = fromVideo(&m.YCbCr, m.A, m.AStride)
	default:
		if p, err = fromStandard(m); err != nil {
			return nil, err
		}
		if w.kind == "VP8L" && !p.hasClear() {
			p = p.WithChannels(3)
		}
	}
	return p.placed(w.frame, w.width, w.height), nil
}

// hasClear reports whether a pixel is not opaque.
func (p *Picture) hasClear() bool {
	for i := p.Channels - 1; p.alpha() && i < len(p.Pix); i += p.Channels {
		if p.Pix[i] < 255 {
			return true
		}
	}
	return false
}

// fromVideo makes colours of brightness from 16 to 235 and of differences that are
// stored at half the size, as libwebp does: weights 9, 3, 3 and 1 of the four nearest.
func fromVideo(m *stdimage.YCbCr, alpha []uint8, apart int) *Picture {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	n := 3
	if alpha != nil {
		n = 4
	}
	p := New(w, h, n, false)
	halfW, halfH := (w+1)/2, (h+1)/2
	for y := range h {
		near := y / 2
		far := max(0, min(halfH-1, near-1+2*(y%2)))
		for x := range w {
			i := x / 2
			j := max(0, min(halfW-1, i-1+2*(x%2)))
			a, b, c, d := near*m.CStride+i, near*m.CStride+j, far*m.CStride+i, far*m.CStride+j
			u := four(m.Cb[a], m.Cb[b], m.Cb[c], m.Cb[d], i == j)
			v := four(m.Cr[a], m.Cr[b], m.Cr[c], m.Cr[d], i == j)
			l := int32(m.Y[y*m.YStride+x]) * 19077 >> 8
			to := p.Pix[n*(y*w+x):]
			to[0] = video(l + v*26149>>8 - 14234)
			to[1] = video(l - u*6419>>8 - v*13320>>8 + 8708)
			to[2] = video(l + u*33050>>8 - 17685)
			if n == 4 {
				to[3] = alpha[y*apart+x]
			}
		}
	}
	return p
}

// four weighs the nearest sample with 9, those beside and above or below it with 3, and the
// farthest with 1, in libwebp's two steps; at the left and right edge the first and third alone.
func four(near, beside, above, far uint8, edge bool) int32 {
	a, b, c, d := int32(near), int32(beside), int32(above), int32(far)
	if edge {
		return (3*a + c + 2) >> 2
	}
	diagonal := (a + b + c + d + 8 + 2*(b+c)) >> 3
	return (diagonal + a) >> 1
}

// video takes a sample out of 6 bits of fraction.
func video(v int32) uint8 { return uint8(max(0, min(255, v>>6))) }
