//go:build !gorgonia

package driver

import "unsafe"

// linked is the library that the build is linked with; "" if one is looked for.
const linked = ""

// call calls a function of the driver. It allocates unless args is a slice that
// is kept.
//
//go:uintptrescapes
func (l *library) call(s symbol, args ...uintptr) int32 { return int32(Call(l.at[s], args...)) }

// launch launches a kernel with the arguments of cuLaunchKernel; its parameter is
// n bytes at p.
func (l *library) launch(args []uintptr, p unsafe.Pointer, n uintptr) int32 {
	return l.call(symLaunch, args...)
}
