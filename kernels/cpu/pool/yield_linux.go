package pool

import (
	"runtime"
	"syscall"
)

// yield lets other threads run, of this process and of others. A thread that
// waits for one which the system has put aside would otherwise keep its core busy for
// as long as the system lets it: milliseconds, where cores are shared.
func yield() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
	runtime.Gosched()
}
