package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	stdimage "image"
	"image/jpeg"
	"io"
)

func jpegConfig(data []byte) (int, int, error) {
	return size(jpeg.DecodeConfig(bytes.NewReader(data)))
}

// decodeJPEG decodes grey, colours and CMYK, which becomes colours.
func decodeJPEG(data []byte) (*Picture, error) {
	m, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *stdimage.YCbCr:
		return fromYCC(m)
	case *stdimage.CMYK:
		return fromCMYK(m), nil
	}
	return fromStandard(m)
}

// fromYCC upsamples colours as libjpeg does ("fancy": a triangle of the nearer and the farther
// sample, 3 to 1) and makes red, green and blue of them in its whole numbers.
func fromYCC(m *stdimage.YCbCr) (*Picture, error) {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	across, down := 1, 1
	switch m.SubsampleRatio {
	case stdimage.YCbCrSubsampleRatio444:
	case stdimage.YCbCrSubsampleRatio422:
		across = 2
	case stdimage.YCbCrSubsampleRatio420:
		across, down = 2, 2
	case stdimage.YCbCrSubsampleRatio440:
		down = 2
	case stdimage.YCbCrSubsampleRatio411:
		across = 4
	case stdimage.YCbCrSubsampleRatio410:
		across, down = 4, 2
	default:
		return nil, fmt.Errorf("its colours are stored at %v of the brightness, which is not read", m.SubsampleRatio)
	}
	p := New(w, h, 3, false)
	cb := upsampler{pix: m.Cb, stride: m.CStride, w: (w + across - 1) / across, h: (h + down - 1) / down, across: across, down: down}
	cr := cb
	cr.pix = m.Cr
	blue, red := make([]uint8, cb.w*across), make([]uint8, cb.w*across)
	cb.sums, cr.sums = make([]int32, cb.w), make([]int32, cb.w)
	for y := range h {
		cb.row(blue, y)
		cr.row(red, y)
		luma, out := m.Y[y*m.YStride:][:w], p.Pix[3*y*w:][:3*w]
		for x, l := range luma {
			b, r, l := int32(blue[x])-128, int32(red[x])-128, int32(l)
			out[3*x] = clamp(l + (91881*r+32768)>>16)
			out[3*x+1] = clamp(l + (-22554*b-46802*r+32768)>>16)
			out[3*x+2] = clamp(l + (116130*b+32768)>>16)
		}
	}
	return p, nil
}

func clamp(v int32) uint8 { return uint8(max(0, min(255, v))) }

// upsampler widens rows of w samples and makes more of h rows.
type upsampler struct {
	pix                        []uint8
	stride, w, h, across, down int
	sums                       []int32
}

// row writes row y of the picture.
func (u *upsampler) row(to []uint8, y int) {
	near := u.pix[y/u.down*u.stride:][:u.w]
	if u.across == 4 { // libjpeg repeats these
		for i := range to {
			to[i] = near[i/4]
		}
		return
	}
	if u.down == 1 {
		if u.across == 1 {
			copy(to, near)
			return
		}
		for i, v := range near {
			u.sums[i] = int32(v)
		}
		u.widen(to, 1, 2, 2)
		return
	}
	other := min(y/2+1, u.h-1)
	if y%2 == 0 {
		other = max(y/2-1, 0)
	}
	far := u.pix[other*u.stride:][:u.w]
	for i, v := range near {
		u.sums[i] = 3*int32(v) + int32(far[i])
	}
	if u.across == 2 {
		u.widen(to, 8, 7, 4)
		return
	}
	for i, v := range u.sums {
		to[i] = uint8((v + 1 + int32(y%2)) >> 2)
	}
}

// widen writes two samples for each sum: three parts of it and one of its neighbour, with
// what is added before the shift for the left and the right one.
func (u *upsampler) widen(to []uint8, left, right int32, shift uint) {
	last := u.w - 1
	for i, v := range u.sums {
		to[2*i] = uint8((3*v + u.sums[max(i-1, 0)] + left) >> shift)
		to[2*i+1] = uint8((3*v + u.sums[min(i+1, last)] + right) >> shift)
	}
}

// fromCMYK has colour (255 - ink)(255 - black)/255.
func fromCMYK(m *stdimage.CMYK) *Picture {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	p := New(w, h, 3, false)
	pix := rows(m.Pix, m.Stride, 4*w, h)
	for i := range w * h {
		light := 255 - int32(pix[4*i+3])
		for c := range 3 {
			p.Pix[3*i+c] = clamp(light - int32(divide255(uint32(pix[4*i+c])*uint32(light))))
		}
	}
	return p
}

// divide255 is v/255, rounded, for v up to 255*255.
func divide255(v uint32) uint32 {
	v += 128
	return (v>>8 + v) >> 8
}

// jpegExif finds the segment of Exif data before the picture.
func jpegExif(data []byte) []byte {
	const scan, end, app1 = 0xda, 0xd9, 0xe1
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		kind, n := data[at+1], int(binary.BigEndian.Uint16(data[at+2:]))
		if kind == 0xff { // fills
			at++
			continue
		}
		if kind == scan || kind == end || n < 2 || at+2+n > len(data) {
			return nil
		}
		if body := data[at+4 : at+2+n]; kind == app1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")) {
			return body
		}
		at += 2 + n
	}
	return nil
}

// EncodeJPEG writes a picture in 8 bits and without alpha, of which nothing becomes
// white; quality is from 1 to 100.
func EncodeJPEG(w io.Writer, p *Picture, quality int) error {
	return jpeg.Encode(w, p.WithBits(8).Over(255, 255, 255).standard(), &jpeg.Options{Quality: quality})
}
