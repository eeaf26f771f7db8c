//go:build linux && (amd64 || arm64)

package driver

import "github.com/ebitengine/purego"

func dlopen(path string) (uintptr, error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func lookup(handle uintptr, name string) (uintptr, error) { return purego.Dlsym(handle, name) }

// call calls a function of the driver. It allocates unless args is a slice that
// is kept.
//
//go:uintptrescapes
func (l *library) call(s symbol, args ...uintptr) int32 {
	r, _, _ := purego.SyscallN(l.at[s], args...)
	return int32(r)
}
