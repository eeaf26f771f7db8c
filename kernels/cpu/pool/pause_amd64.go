package pool

// pause executes n spin-wait hints.
//
//go:noescape
func pause(n int)
