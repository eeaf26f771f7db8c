package cpu

import (
	"sync/atomic"
	"unsafe"
)

// A cache has room for the longest text, and is filled from its beginning. It
// begins in ordinary pages, so that it takes what was written, and what lies in a
// large page becomes one once part of it was: a quarter at least, half at most,
// each page after another part, since it takes as long as clearing it and all
// layers come there with the same token. Where the system can't join pages by
// request caches lie in large ones from the start.

const (
	joinFrom   = 4 // a page is joined when 1/joinFrom of what is a cache in it is written,
	joinSpread = 16
	joinStep   = 64 // and page%joinSpread times 1/joinStep more
)

// filling is the memory of sequences that are filled from their beginnings.
type filling struct {
	slab  *slab
	from  int // of the first sequence, in the slab
	bytes int // of a sequence
	row   int // bytes of a row of it
}

// fill says that so many bytes from p on, those of so many sequences, are filled row by row. It must be said before
// anything is written there, and may be said again. It is of no consequence for a part of a buffer, which may be room that others have, too.
func (u *buffer) fill(p unsafe.Pointer, sequences, rows, bytes int) (f filling) {
	if u.slab == nil || sequences*rows == 0 || bytes != len(u.data) {
		return f
	}
	u.sparse.Do(func() { u.slab.keepOrdinary(u.data) })
	return filling{u.slab, u.slab.offset(p), bytes / sequences, bytes / (sequences * rows)}
}

// reach is called before rows up to the given one of sequence z are written.
func (f filling) reach(z, first, last int) {
	if f.slab == nil {
		return
	}
	begin := f.from + z*f.bytes
	from, to := begin+max(0, first)*f.row, begin+min(last*f.row, f.bytes)
	for page := from / largePage; page < len(f.slab.ordinary) && page*largePage < to; page++ {
		start, end := max(page*largePage, begin), min((page+1)*largePage, begin+f.bytes)
		enough := (end-start)/joinFrom + (end-start)/joinStep*(page%joinSpread)
		if to-start > enough && f.slab.ordinary[page].CompareAndSwap(true, false) {
			joinPages(f.slab.data[page*largePage:][:largePage])
		}
	}
}

// ordinaryPages are those of a slab that are to be joined, by large page.
type ordinaryPages []atomic.Bool

// offset is where in the slab p lies.
func (s *slab) offset(p unsafe.Pointer) int {
	return int(uintptr(p) - uintptr(unsafe.Pointer(&s.data[0])))
}

// keepOrdinary keeps data, which begins with a page of the slab and was not written
// yet, in ordinary pages.
func (s *slab) keepOrdinary(data []byte) {
	from := s.offset(unsafe.Pointer(&data[0]))
	to := min(from+(len(data)+smallPage-1)&^(smallPage-1), len(s.data))
	if !splitPages(s.data[from:to]) {
		return
	}
	for page := from / largePage; page < len(s.ordinary) && page*largePage < to; page++ {
		s.ordinary[page].Store(true)
	}
}
