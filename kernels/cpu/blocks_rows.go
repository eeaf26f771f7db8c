package cpu

import "pipe.dev/kernels/cpu/asm"

// Weights in blocks as files have them, and what is read of any.

// byRow reports whether one row is multiplied by w without unpacking it.
func (p *blockProduct) byRow(w weight) bool {
	if p.coding.InRows() {
		return p.b.asm.RowTimesRows[p.coding] != nil
	}
	return w.packed && p.b.asm.Row[p.coding] != nil
}

// rowBytes returns the bytes of a row of a weight as files have it.
func (p *blockProduct) rowBytes() int { return p.k / p.format.Block * p.format.Bytes }

// upcoming is where memory lies that is wanted next: so many stretches of so many
// bytes, which begin stride bytes apart, or none.
type upcoming struct {
	from                 []byte
	stretches, n, stride int
}

// ask fetches part i of count.
func (u upcoming) ask(fetch func(p *byte, lines int), i, count int) {
	if u.stretches == 1 {
		lines := (u.n/64 + count - 1) / count
		if at := i * lines * 64; at < u.n {
			fetch(&u.from[at], lines)
		}
		return
	}
	for s := i * u.stretches / count; s < (i+1)*u.stretches/count; s++ {
		fetch(&u.from[s*u.stride], u.n/64+1)
	}
}

// stretch is super-blocks lo to hi of a panel, where they lie.
func (p *blockProduct) stretch(w weight, panel, lo, hi int) upcoming {
	switch {
	case p.coding.InRows():
		from := w.bytes8()[panel*asm.Panel*p.rowBytes()+lo*p.format.Bytes:]
		return upcoming{from, min(asm.Panel, p.n-panel*asm.Panel), (hi - lo) * p.format.Bytes, p.rowBytes()}
	case w.packed:
		return upcoming{w.bytes8()[panel*p.panelBytes(p.k)+lo*p.superBytes():], 1, (hi - lo) * p.superBytes(), 0}
	}
	return upcoming{}
}

// following is the stretch after super-block hi of a panel of weight i: in that panel, in that of the next weight, or in the next
// panel before end.
func (p *blockProduct) following(weights []weight, i, panel, hi, end int) upcoming {
	supers := p.k / p.format.Block
	switch {
	case hi < supers:
		return p.stretch(weights[i], panel, hi, min(hi+p.supers, supers))
	case supers == 0:
	case i+1 < len(weights):
		return p.stretch(weights[i+1], panel, 0, min(p.supers, supers))
	case panel+1 < end:
		return p.stretch(weights[0], panel+1, 0, min(p.supers, supers))
	}
	return upcoming{}
}

// More memory of a worker, in floats: what is unpacked, and in the second half what it is made of.
const (
	atBlocks = atSum2 + maxBlock*asm.Panel
	atEnd    = atBlocks + 32<<10
)

// unpack is super-blocks lo to hi of a panel in local memory.
func (p *blockProduct) unpack(local []float32, w weight, panel, lo, hi int) *byte {
	if lo == hi {
		return nil
	}
	room := vecOf(local[atBlocks:atEnd]).bytes(0, atEnd-atBlocks)
	from := room[len(room)/2:]
	switch {
	case p.coding.InRows():
		p.unpackRows(room, p.stretch(w, panel, lo, hi), hi-lo)
		return &room[0]
	case w.packed:
		from = p.stretch(w, panel, lo, hi).from
	default:
		p.pack(from, w.bytes8(), p.n, p.k/p.format.Block, panel, lo, hi)
	}
	p.b.asm.Unpack[p.coding](hi-lo, p.per, &from[0], &room[0])
	return &room[0]
}

// unpackRows unpacks n super-blocks of rows. Rows that the last panel lacks are zero.
func (p *blockProduct) unpackRows(room []byte, rows upcoming, n int) {
	from, stride := rows.from, rows.stride
	if rows.stretches < asm.Panel {
		whole := room[len(room)/2:][:asm.Panel*rows.n]
		for i := range rows.stretches {
			copy(whole[i*rows.n:(i+1)*rows.n], from[i*stride:])
		}
		clear(whole[rows.stretches*rows.n:])
		from, stride = whole, rows.n
	}
	p.b.asm.UnpackRows[p.coding](n, &from[0], stride, &room[0])
}
