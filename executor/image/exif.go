package image

import (
	"bytes"
	"encoding/binary"
)

// orientation is how a camera was held, from 1 (upright) to 8, as Exif data say; 1 if they do
// not say it, or are damaged.
//
// Source: CIPA DC-008, tag 0x0112 of the first directory.
func orientation(exif []byte) int {
	exif = bytes.TrimPrefix(exif, []byte("Exif\x00\x00"))
	if len(exif) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(exif[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := int64(order.Uint32(exif[4:]))
	if at+2 > int64(len(exif)) {
		return 1
	}
	list := exif[at+2:]
	for range order.Uint16(exif[at:]) {
		if len(list) < 12 {
			return 1
		}
		const tag, short = 0x0112, 3
		if order.Uint16(list) == tag && order.Uint16(list[2:]) == short {
			if v := int(order.Uint16(list[8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
		list = list[12:]
	}
	return 1
}

// Turned returns the picture upright, given how it lies as Exif counts it: 1 upright, 2 mirrored left
// and right, 3 upside down, 4 mirrored top and bottom, 5 to 8 lying on a side.
func (p *Picture) Turned(orientation int) *Picture {
	if orientation < 2 || orientation > 8 {
		return p
	}
	o := orientation - 1
	across := o >= 4 // rows become columns
	left, up := o == 1 || o == 2 || o == 6 || o == 7, o == 2 || o == 3 || o == 5 || o == 6
	w, h := p.Width, p.Height
	if across {
		w, h = h, w
	}
	q := p.like(w, h)
	for y := range h {
		for x := range w {
			i, j := x, y // column and row of p
			if across {
				i, j = y, x
			}
			if left {
				i = p.Width - 1 - i
			}
			if up {
				j = p.Height - 1 - j
			}
			q.copyPixel(y*w+x, p, j*p.Width+i)
		}
	}
	return q
}

// copyPixel makes pixel i of q pixel j of p.
func (p *Picture) copyPixel(i int, from *Picture, j int) {
	n := p.Channels
	if p.Deep != nil {
		copy(p.Deep[i*n:(i+1)*n], from.Deep[j*n:])
	} else {
		copy(p.Pix[i*n:(i+1)*n], from.Pix[j*n:])
	}
}
