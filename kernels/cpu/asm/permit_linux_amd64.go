package asm

import "golang.org/x/sys/unix"

// PermitTiles asks the system to keep tiles when it changes threads, for all of this
// process, and reports whether it does: without that no kernel of AMX may run.
// Source: Linux, Documentation/arch/x86/xstate.rst.
func PermitTiles() bool {
	const request, tileData = 0x1023, 18
	_, _, e := unix.RawSyscall(unix.SYS_ARCH_PRCTL, request, tileData, 0)
	return e == 0
}
