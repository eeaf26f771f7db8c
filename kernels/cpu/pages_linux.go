package cpu

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

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

// joins reports whether the system joins pages by request, as Linux does from 6.1 on. Advice
// about no bytes is refused where it is not known.
var joins = sync.OnceValue(func() bool {
	if os.Getpagesize() != smallPage {
		return false
	}
	p, err := unix.Mmap(-1, 0, smallPage, unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return false
	}
	defer unix.Munmap(p)
	_, _, e := unix.Syscall(unix.SYS_MADVISE, uintptr(unsafe.Pointer(&p[0])), 0, unix.MADV_COLLAPSE)
	return e == 0
})

// splitPages lets memory lie in ordinary pages from now on, and reports whether it
// does and joinPages can join them.
func splitPages(p []byte) bool {
	return joins() && len(p) > 0 && unix.Madvise(p, unix.MADV_NOHUGEPAGE) == nil
}

// joinPages makes large pages of ordinary ones, which keep what they hold.
func joinPages(p []byte) {
	_ = unix.Madvise(p, unix.MADV_HUGEPAGE) // a wish, as above: of pages that nothing was written to, and where the system lacks memory now
	_ = unix.Madvise(p, unix.MADV_COLLAPSE)
}
