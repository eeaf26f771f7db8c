package driver

import (
	"fmt"
	"path/filepath"
	"sync"
	"unsafe"
)

// library is an open libcuda.
type library struct {
	path    string
	version int
	at      [symbols]uintptr
}

// Folders are where distributions, containers, WSL and NixOS put libcuda.
var Folders = [...]string{
	"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib",
	"/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib", "/run/opengl-driver/lib",
	"/usr/lib64/nvidia", "/usr/lib/nvidia", "/usr/local/cuda/compat", "/lib/x86_64-linux-gnu", "/lib64",
}

// loaded holds what was opened, by path: a library is opened once in a process.
var loaded struct {
	sync.Mutex
	by map[string]*library
}

// load opens the driver in path, or where the system finds it, or in Folders.
func load(path string) (*library, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if l, ok := loaded.by[path]; ok {
		return l, nil
	}
	paths := []string{path}
	switch {
	case linked != "" && path != "":
		return nil, fmt.Errorf("%w: this build has the libcuda that it is linked with, and can't open %s", ErrNoDriver, path)
	case linked != "":
		paths[0] = linked
	case path == "":
		paths = []string{"libcuda.so.1", "libcuda.so"}
		for _, dir := range Folders {
			paths = append(paths, filepath.Join(dir, "libcuda.so.1"))
		}
	}
	handle, found, err := openFirst(paths)
	if err != nil {
		return nil, err
	}
	l := &library{path: found}
	for s, name := range names {
		if l.at[s], err = Lookup(handle, name); err != nil && symbol(s) < symParameter {
			return nil, fmt.Errorf("%w: %s has no function %s; CUDA %d.%d or newer is needed", ErrTooOld, found, name, Oldest/1000, Oldest%1000/10)
		}
	}
	if err := l.start(); err != nil {
		return nil, err
	}
	if loaded.by == nil {
		loaded.by = map[string]*library{}
	}
	loaded.by[path] = l
	return l, nil
}

// openFirst opens the first of some libraries that can be opened.
func openFirst(paths []string) (handle uintptr, path string, err error) {
	for _, p := range paths {
		h, e := OpenLibrary(p)
		if e == nil {
			return h, p, nil
		}
		if err == nil {
			err = e
		}
	}
	return 0, "", fmt.Errorf("%w: %w", ErrNoDriver, err)
}

func (l *library) start() error {
	if err := l.do(symInit, 0); err != nil {
		return err
	}
	var v int32
	if err := l.do(symDriverVersion, uintptr(unsafe.Pointer(&v))); err != nil {
		return err
	}
	if l.version = int(v); l.version < Oldest {
		return fmt.Errorf("%w: the driver in %s serves CUDA %d.%d; %d.%d or newer is needed", ErrTooOld, l.path, v/1000, v%1000/10, Oldest/1000, Oldest%1000/10)
	}
	return nil
}

// do calls a function and turns its result into an error.
//
//go:uintptrescapes
func (l *library) do(s symbol, args ...uintptr) error { return l.check(s, l.call(s, args...)) }

// check is the error of a result; nil for success.
func (l *library) check(s symbol, code int32) error {
	if code == 0 {
		return nil
	}
	e := &Error{Call: names[s], Code: int(code), Name: fmt.Sprintf("CUDA_ERROR_%d", code)}
	var p *byte
	if l.call(symErrorName, uintptr(code), uintptr(unsafe.Pointer(&p))) == 0 && p != nil {
		e.Name = text(p, 256)
	}
	p = nil
	if l.call(symErrorString, uintptr(code), uintptr(unsafe.Pointer(&p))) == 0 && p != nil {
		e.Text = text(p, 256)
	}
	return e
}
