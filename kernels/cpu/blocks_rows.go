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

// unpack is super-blocks lo to hi of a panel in local memory, and those that
// follow in the panel where they lie.
func (p *blockProduct) unpack(local []float32, w weight, panel, lo, hi int) (to *byte, next upcoming) {
	if lo == hi {
		return nil, upcoming{}
	}
	room := vecOf(local[atPanel:atRest]).bytes(0, atRest-atPanel)
	if p.coding.InRows() {
		return &room[0], p.unpackRows(room, w.bytes8(), panel, lo, hi)
	}
	from := room[len(room)/2:]
	if w.packed {
		from = w.bytes8()[panel*p.panelBytes(p.k)+lo*p.superBytes():]
		rest := from[(hi-lo)*p.superBytes():]
		next = upcoming{from: rest, stretches: 1, n: min(len(rest), (hi-lo)*p.superBytes())}
	} else {
		p.pack(from, w.bytes8(), p.n, p.k/p.format.Block, panel, lo, hi)
	}
	p.b.asm.Unpack[p.coding](hi-lo, p.per, &from[0], &room[0])
	return &room[0], next
}

// unpackRows is unpack for weights in rows. Rows that the last panel lacks are zero.
func (p *blockProduct) unpackRows(room, w []byte, panel, lo, hi int) (next upcoming) {
	from, stride, some := w[panel*asm.Panel*p.rowBytes()+lo*p.format.Bytes:], p.rowBytes(), (hi-lo)*p.format.Bytes
	rows := min(asm.Panel, p.n-panel*asm.Panel)
	if n := min(p.k/p.format.Block-hi, hi-lo); n > 0 {
		next = upcoming{from[some:], rows, n * p.format.Bytes, stride}
	}
	if rows < asm.Panel {
		whole := room[len(room)/2:][:asm.Panel*some]
		for i := range rows {
			copy(whole[i*some:(i+1)*some], from[i*stride:])
		}
		clear(whole[rows*some:])
		from, stride = whole, some
	}
	p.b.asm.UnpackRows[p.coding](hi-lo, &from[0], stride, &room[0])
	return next
}
