package mp3

import "encoding/binary"

// bits reads bits, the highest of a byte first. Behind the data there must be room for 16
// bytes more, which are read as they are: over tells where that has happened.
type bits struct {
	data  []byte
	next  int    // byte that is read next
	cache uint64 // bits that were read, the first at the top
	have  int    // of cache
}

// bitsAt reads data from a bit on.
func bitsAt(data []byte, at int) bits {
	b := bits{data: data, next: at >> 3}
	b.fill()
	b.skip(at & 7)
	return b
}

// at is the bit that is read next.
func (b *bits) at() int { return b.next*8 - b.have }

// fill makes at least 56 bits ready. Far behind the data they are zeros.
func (b *bits) fill() {
	if b.next+8 <= len(b.data) {
		b.cache |= binary.BigEndian.Uint64(b.data[b.next:]) >> b.have
	}
	n := (63 - b.have) >> 3
	b.next += n
	b.have += n * 8
}

// skip drops n bits that are ready.
func (b *bits) skip(n int) {
	b.cache <<= n
	b.have -= n
}

// get reads n bits, 0 to 32.
func (b *bits) get(n int) int {
	if b.have < n {
		b.fill()
	}
	v := b.cache >> (64 - n)
	b.skip(n)
	return int(v)
}

// flag reads a bit.
func (b *bits) flag() bool { return b.get(1) == 1 }
