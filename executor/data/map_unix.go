//go:build unix

package data

import (
	"fmt"
	"math"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// mapping is a file mapped into memory, read-only.
type mapping struct {
	data    []byte
	touched atomic.Int64 // bytes, since pages were last dropped
}

// What reading costs in memory: a place may bring in a whole huge page, and pages are dropped after so many bytes.
const (
	around    = 2 << 20
	mostPages = 64 << 20
)

func mapFile(path string) (*mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 || info.Size() > math.MaxInt {
		return nil, fmt.Errorf("has %d bytes, which cannot be mapped", info.Size())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("cannot map %d bytes: %w", info.Size(), err)
	}
	return &mapping{data: data}, nil
}

// touch counts what was read, and drops the pages when they get many. Others may read at the same time: a dropped page
// comes again from the file.
func (m *mapping) touch(n int) {
	if len(m.data) <= mostPages {
		return // they cannot
	}
	if m.touched.Add(int64(n)+around) > mostPages {
		m.release()
	}
}

// release drops all pages.
func (m *mapping) release() {
	m.touched.Store(0)
	_ = unix.Madvise(m.data, unix.MADV_DONTNEED) // advice only
}

func (m *mapping) close() {
	_ = unix.Munmap(m.data) // it was mapped
	m.data = nil
}
