//go:build darwin || freebsd || netbsd || openbsd

package cpu

func adviseHuge([]byte) {}

// releasePages leaves memory until its slab is freed.
func releasePages([]byte) {}

// splitPages has no pages to split here.
func splitPages([]byte) bool { return false }

func joinPages([]byte) {}
