//go:build !linux

package pool

import "runtime"

// yield lets other threads run.
func yield() { runtime.Gosched() }
