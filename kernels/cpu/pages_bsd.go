//go:build darwin || freebsd || netbsd || openbsd

package cpu

func adviseHuge([]byte) {}

// releasePages leaves memory until its slab is freed.
func releasePages([]byte) {}
