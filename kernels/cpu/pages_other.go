//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package cpu

// allocPages has no pages to give here: memory comes from the heap.
func allocPages(int) ([]byte, error) { return nil, nil }

func freePages([]byte) error { return nil }

func releasePages([]byte) {}

func splitPages([]byte) bool { return false }

func joinPages([]byte) {}
