//go:build !linux || !(amd64 || arm64)

package driver

import (
	"errors"
	"runtime"
)

func dlopen(string) (uintptr, error) {
	return 0, errors.New("it is looked for on Linux only, on amd64 and arm64, not on " + runtime.GOOS + "/" + runtime.GOARCH)
}

func lookup(uintptr, string) (uintptr, error) { return 0, ErrNoDriver }

func (l *library) call(symbol, ...uintptr) int32 { return codeNoDevice }
