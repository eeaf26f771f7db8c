package cpu

import (
	"fmt"
	"math/bits"
	"sync"
	"unsafe"

	"pipe.dev/kernels"
)

// buffer is a run of host memory.
type buffer struct {
	b     *Backend
	data  []byte
	size  int64
	own   bool   // data was allocated, and may be written
	pages []byte // the mapping to give back, if data lies in one of its own
	slab  *slab  // or what it lies in

	sparse sync.Once // see filling
}

// mapFrom is the size in bytes from which memory comes from the operating
// system directly, so that Free returns it at once.
const mapFrom = 64 << 10

// Alloc returns zeroed memory, aligned to Align.
func (b *Backend) Alloc(n int64) (kernels.Buffer, error) {
	if n < 0 || n != int64(int(n)) {
		return nil, fmt.Errorf("cpu: can't allocate %d bytes", n)
	}
	u := &buffer{b: b, size: n, own: true}
	if n >= slabFrom {
		var err error
		if u.data, u.slab, err = b.slabs.take(int(n)); err != nil {
			return nil, fmt.Errorf("cpu: allocate %d bytes: %w", n, err)
		}
	} else if n >= mapFrom {
		pages, err := allocPages(int(n))
		if err != nil {
			return nil, fmt.Errorf("cpu: allocate %d bytes: %w", n, err)
		}
		u.pages = pages
		if pages != nil {
			u.data = pages[:n:n]
		}
	}
	if u.data == nil {
		raw := make([]byte, n+b.Align())
		skip := -int64(uintptr(unsafe.Pointer(&raw[0]))) & (b.Align() - 1)
		u.data = raw[skip : skip+n : skip+n]
	}
	b.allocated.Add(n)
	return u, nil
}

// Map wraps host memory. Elements of a tensor can't be larger than the largest
// power of two that divides its bytes, so data aligned to that, up to 8, will
// do whatever its type.
func (b *Backend) Map(data []byte) (kernels.Buffer, bool) {
	if len(data) == 0 {
		return nil, false
	}
	align := uintptr(1) << min(bits.TrailingZeros(uint(len(data))), 3)
	if uintptr(unsafe.Pointer(&data[0]))%align != 0 {
		return nil, false
	}
	return &buffer{b: b, data: data, size: int64(len(data))}, true
}

// littleEndian reports whether memory holds numbers as checkpoints do.
func littleEndian() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}

func (u *buffer) Size() int64 { return u.size }

// Bytes is the memory; what is mapped must not be written.
func (u *buffer) Bytes() []byte { return u.data }

func (u *buffer) check(what string, offset int64, n int) error {
	if u.data == nil && u.size > 0 {
		return fmt.Errorf("cpu: %s of a buffer that was freed", what)
	}
	if offset < 0 || offset > u.size-int64(n) {
		return fmt.Errorf("cpu: %s of %d bytes at %d, beyond a buffer of %d", what, n, offset, u.size)
	}
	return nil
}

func (u *buffer) Write(offset int64, src []byte) error {
	if !u.own {
		return fmt.Errorf("cpu: write of %d bytes to memory that is mapped read-only", len(src))
	}
	if err := u.check("write", offset, len(src)); err != nil {
		return err
	}
	copy(u.data[offset:], src)
	return nil
}

func (u *buffer) Read(offset int64, dst []byte) error {
	if err := u.check("read", offset, len(dst)); err != nil {
		return err
	}
	copy(dst, u.data[offset:])
	return nil
}

// Free gives the memory back. Steps bound to it must not run any more.
func (u *buffer) Free() error {
	if u.data == nil {
		return nil
	}
	data, pages, slab := u.data, u.pages, u.slab
	u.data, u.pages, u.slab = nil, nil, nil
	if !u.own {
		return nil
	}
	u.b.allocated.Add(-u.size)
	switch {
	case slab != nil:
		return u.b.slabs.give(data, slab)
	case pages != nil:
		return freePages(pages)
	}
	return nil
}
