//go:build unix

package checkpoint

import (
	"fmt"
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// mapping is a file mapped into memory, read-only.
type mapping struct{ data []byte }

// mapFile maps the size > 0 bytes of f and closes it.
func mapFile(f *os.File, size int64) (contents, error) {
	defer f.Close()
	if size > math.MaxInt {
		return nil, fmt.Errorf("has %d bytes, more than this machine can map", size)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("cannot map %d bytes: %w", size, err)
	}
	return &mapping{data}, nil
}

func (m *mapping) view(offset, n int64) ([]byte, error) {
	return m.data[offset : offset+n : offset+n], nil
}

func (m *mapping) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset > int64(len(m.data)) {
		return 0, io.EOF
	}
	n := copy(p, m.data[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// release drops the pages that lie wholly inside the range. A later access
// reads them again, from the page cache or the file.
func (m *mapping) release(offset, n int64) {
	page := int64(os.Getpagesize())
	from := (offset + page - 1) / page * page
	to := (offset + n) / page * page
	if to > from {
		// Advice only: there is nothing to do if the system declines.
		_ = unix.Madvise(m.data[from:to], unix.MADV_DONTNEED)
	}
}

func (m *mapping) releaseAll() {
	if len(m.data) > 0 {
		_ = unix.Madvise(m.data, unix.MADV_DONTNEED) // advice only, as above
	}
}

// fetch begins to read the pages of the range.
func (m *mapping) fetch(offset, n int64) {
	page := int64(os.Getpagesize())
	if from := offset / page * page; n > 0 {
		_ = unix.Madvise(m.data[from:offset+n], unix.MADV_WILLNEED) // advice only, as above
	}
}

func (m *mapping) close() error {
	data := m.data
	m.data = nil
	return unix.Munmap(data)
}
