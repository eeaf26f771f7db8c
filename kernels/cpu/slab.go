package cpu

import (
	"fmt"
	"sync"
	"unsafe"
)

// Weights lie one after another in slabs, which the operating system backs with
// large pages: processors fetch ahead of a stream of reads, but not beyond a
// page, so a product of one row reads small pages at half the speed. A slab costs
// addresses alone until it is written to, and at most a large page more than what
// lies in it.

const (
	largePage = 2 << 20
	slabBytes = 256 << 20
	slabFrom  = 256 << 10      // bytes of what is put in a slab
	slabMost  = slabBytes >> 2 // what is larger has a slab of its own
	smallPage = 4096
)

// slab is one mapping.
type slab struct {
	pages []byte // as mapped
	data  []byte // from the first whole large page on
	used  int
	live  int // allocations

	ordinary ordinaryPages // see filling
}

// slabs are those of a backend.
type slabs struct {
	mu      sync.Mutex
	current *slab // takes the next allocation, or nil
}

func newSlab(n int) (*slab, error) {
	pages, err := allocPages(n + largePage)
	if err != nil || pages == nil {
		return nil, err
	}
	skip := -int(uintptr(unsafe.Pointer(&pages[0]))) & (largePage - 1)
	return &slab{pages: pages, data: pages[skip : skip+n], ordinary: make(ordinaryPages, n/largePage)}, nil
}

// take returns n zeroed bytes at the beginning of a page, and the slab that they
// lie in; none if the system has no pages to give.
func (s *slabs) take(n int) ([]byte, *slab, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := (n + smallPage - 1) &^ (smallPage - 1)
	from := s.current
	if from == nil || room > len(from.data)-from.used {
		size := room
		if room <= slabMost {
			size = slabBytes
		}
		made, err := newSlab(size)
		if err != nil || made == nil {
			return nil, nil, err
		}
		if from = made; room <= slabMost {
			s.current = made
		}
	}
	data := from.data[from.used : from.used+n : from.used+n]
	from.used += room
	from.live++
	return data, from, nil
}

// give takes back what take gave. The pages are released at once, the slab when
// nothing lies in it any more.
func (s *slabs) give(data []byte, from *slab) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from.live--; from.live > 0 {
		releasePages(data[:len(data)&^(smallPage-1)])
		return nil
	}
	if s.current == from {
		s.current = nil
	}
	if err := freePages(from.pages); err != nil {
		return fmt.Errorf("cpu: free %d bytes: %w", len(data), err)
	}
	return nil
}
