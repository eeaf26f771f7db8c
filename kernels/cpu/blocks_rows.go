package cpu

import "pipe.dev/kernels/cpu/asm"

// Weights in blocks as files have them, and what is read of any.

// readsRows reports whether weights are read as they lie in files.
func (b *Backend) readsRows(p packing) bool { return b.asm.UnpackRows[p.coding] != nil }

// byRow reports whether one row is multiplied by w without unpacking it.
func (p *blockProduct) byRow(w weight) bool {
	if w.packed {
		return p.b.asm.Row[p.coding] != nil
	}
	return p.b.readsRows(p.packing)
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
	from, supers := room[len(room)/2:], p.k/p.format.Block
	switch {
	case w.packed:
		from = w.bytes8()[panel*p.panelBytes(p.k)+lo*p.superBytes():]
		rest := from[(hi-lo)*p.superBytes():]
		next = upcoming{from: rest, stretches: 1, n: min(len(rest), (hi-lo)*p.superBytes())}
	case p.b.readsRows(p.packing) && (panel+1)*asm.Panel <= p.n:
		from = w.bytes8()[panel*asm.Panel*p.rowBytes()+lo*p.format.Bytes:]
		if n := min(supers-hi, hi-lo); n > 0 {
			next = upcoming{from[(hi-lo)*p.format.Bytes:], asm.Panel, n * p.format.Bytes, p.rowBytes()}
		}
		p.b.asm.UnpackRows[p.coding](hi-lo, &from[0], p.rowBytes(), &room[0])
		return &room[0], next
	default:
		p.pack(from, w.bytes8(), p.n, supers, panel, lo, hi)
	}
	p.b.asm.Unpack[p.coding](hi-lo, p.per, &from[0], &room[0])
	return &room[0], next
}
