package mp3

import (
	"errors"
	"fmt"
)

// header is what the first four bytes of a frame say.
type header struct {
	version   int // 1 is MPEG 1, 2 is MPEG 2, 3 is MPEG 2.5
	rate      int // samples a second of each channel, Hz
	bands     int // which bands of scale factors: a row of longBands and shortBands
	channels  int
	granules  int // of 576 samples of each channel
	size      int // bytes, with the header; 0 where the format is free
	padding   int // bytes of size
	side      int // bytes of the side information
	checked   bool
	midSide   bool // the channels are a sum and a difference
	intensity bool // the upper bands of both channels are one, and a position
}

// samples is how many a frame has of each channel.
func (h *header) samples() int { return 576 * h.granules }

// start is where the side information of a frame begins.
func (h *header) start() int {
	if h.checked {
		return 6
	}
	return 4
}

// like reports whether two frames are of one stream.
func (h *header) like(o *header) bool {
	return h.version == o.version && h.rate == o.rate && h.channels == o.channels
}

// rates by version, and bit rates, kbit/s, of MPEG 1 and of the others.
var (
	rates = [4][3]int{1: {44100, 48000, 32000}, 2: {22050, 24000, 16000}, 3: {11025, 12000, 8000}}
	kbits = [2][15]int{
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	}
)

// parseHeader reads the header of a frame.
//
// Source: ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; ISO/IEC 13818-3, 2.4.2.3. MPEG 2.5, of
// half the rates of MPEG 2, is not in these.
func parseHeader(b []byte) (h header, err error) {
	version := [4]int{3, 0, 2, 1}[b[1]>>3&3]
	layer := 4 - int(b[1]>>1&3)
	switch {
	case b[0] != 0xff || b[1]&0xe0 != 0xe0 || version == 0:
		return h, errors.New("is no frame")
	case layer != 3:
		return h, fmt.Errorf("is a frame of layer %d, want layer III", layer)
	}
	bits, rate, mode := int(b[2]>>4), int(b[2]>>2&3), b[3]>>6
	if bits == 15 || rate == 3 {
		return h, errors.New("is a frame without bit rate or sample rate")
	}
	h = header{
		version: version, rate: rates[version][rate], bands: 3*(version-1) + rate,
		channels: 2, granules: 2, side: 32,
		padding: int(b[2] >> 1 & 1), checked: b[1]&1 == 0,
		midSide: mode == 1 && b[3]&0x20 != 0, intensity: mode == 1 && b[3]&0x10 != 0,
	}
	if version > 1 {
		h.granules, h.side = 1, 17
	}
	if mode == 3 {
		h.channels, h.side = 1, h.side/2+1 // 17, 9
	}
	if kbit := kbits[min(version, 2)-1][bits]; kbit > 0 {
		h.size = 72*h.granules*1000*kbit/h.rate + h.padding
		if h.size < h.start()+h.side {
			return h, fmt.Errorf("is a frame of %d bytes, which has no room for %d of side information", h.size, h.side)
		}
	}
	return h, nil
}

// freeSize is how long the first frame of data is, without padding, where its header says
// no bit rate: all frames are equally long, so the next header tells. 0 if there is none.
func freeSize(h *header, data []byte) int {
	same := func(at int) bool {
		if at+4 > len(data) || data[at] != data[0] || data[at+1] != data[1] || (data[at+2]^data[2])&0xfc != 0 {
			return false
		}
		n, err := parseHeader(data[at:])
		return err == nil && n.like(h)
	}
	for at := h.start() + h.side; at <= min(largestFree, len(data)-4); at++ {
		if !same(at) {
			continue
		}
		size := at - h.padding
		next := 2*at - h.padding + int(data[at+2]>>1&1)
		if next+4 > len(data) || same(next) {
			return size
		}
	}
	return 0
}

// checksum is the CRC-16 over the end of the header and the side information.
//
// Source: ISO/IEC 11172-3, 2.4.3.1: x^16 + x^15 + x^2 + 1, from all ones.
func (h *header) checksum(frame []byte) uint16 {
	sum := uint16(0xffff)
	add := func(list []byte) {
		for _, b := range list {
			sum ^= uint16(b) << 8
			for range 8 {
				carry := sum&0x8000 != 0
				if sum <<= 1; carry {
					sum ^= 0x8005
				}
			}
		}
	}
	add(frame[2:4])
	add(frame[6 : 6+h.side])
	return sum
}
