package cpu

import "golang.org/x/sys/unix"

func adviseHuge(p []byte) {
	if len(p) >= largePage {
		// Large pages are only a wish: without them all is slower but right.
		_ = unix.Madvise(p, unix.MADV_HUGEPAGE)
	}
}

// releasePages gives the memory of whole pages back. They keep their addresses.
func releasePages(p []byte) {
	if len(p) > 0 {
		_ = unix.Madvise(p, unix.MADV_DONTNEED)
	}
}
