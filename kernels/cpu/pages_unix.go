//go:build linux || darwin || freebsd || netbsd || openbsd

package cpu

import "golang.org/x/sys/unix"

// allocPages maps n bytes of zeroed memory.
func allocPages(n int) ([]byte, error) {
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		adviseHuge(p)
	}
	return p, err
}

func freePages(p []byte) error { return unix.Munmap(p) }
