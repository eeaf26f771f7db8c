package cpu

import "golang.org/x/sys/unix"

// hugeFrom is the size in bytes from which large pages are asked for: weights
// and caches are read in strides that would miss the address cache otherwise.
const hugeFrom = 4 << 20

func adviseHuge(p []byte) {
	if len(p) >= hugeFrom {
		// Large pages are only a wish: without them all is slower but right.
		_ = unix.Madvise(p, unix.MADV_HUGEPAGE)
	}
}
