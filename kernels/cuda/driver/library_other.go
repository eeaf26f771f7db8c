//go:build !linux || !(amd64 || arm64)

package driver

import (
	"errors"
	"runtime"
)

// OpenLibrary opens nothing here.
func OpenLibrary(string) (uintptr, error) {
	return 0, errors.New("it is looked for on Linux only, on amd64 and arm64, not on " + runtime.GOOS + "/" + runtime.GOARCH)
}

// Lookup finds nothing here.
func Lookup(uintptr, string) (uintptr, error) { return 0, ErrNoDriver }

// Call calls nothing here.
func Call(uintptr, ...uintptr) uintptr { return codeNoDevice }
