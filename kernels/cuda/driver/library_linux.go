//go:build linux && (amd64 || arm64)

package driver

import "github.com/ebitengine/purego"

// OpenLibrary opens a library of C.
func OpenLibrary(path string) (handle uintptr, err error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

// Lookup finds a function of an open library.
func Lookup(handle uintptr, name string) (uintptr, error) { return purego.Dlsym(handle, name) }

// Call calls a function that takes whole numbers and addresses and gives one. It
// allocates unless args is a slice that is kept.
//
//go:uintptrescapes
func Call(function uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(function, args...)
	return r
}
