//go:build !amd64

package pool

import "runtime"

// pause lets another goroutine run: there is no spin-wait hint here.
func pause(int) { runtime.Gosched() }
