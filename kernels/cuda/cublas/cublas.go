// Package cublas has matrix products computed by NVIDIA's cuBLASLt, which it looks
// for when it is opened: nothing is needed to build.
//
// Everything that decides a product's bits is settled when it is bound: the library
// is asked once for an algorithm, which is kept with its workspace. Algorithms that
// sum parts of a sum in the type of the result, or in place, are not allowed. On one
// machine, with one version of the library, a product has the same bits at every
// run; what rows do to each other is the library's business.
package cublas

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"unsafe"

	"pipe.dev/kernels/cuda/driver"
)

// ErrNotFound says that there is no cuBLASLt, or one that lacks a function.
var ErrNotFound = errors.New("no cuBLASLt")

// ErrNoAlgorithm says that the library has none for a product.
var ErrNoAlgorithm = errors.New("cuBLASLt has no algorithm")

// Names are what the library is called, the newest first.
var Names = [...]string{"libcublasLt.so.13", "libcublasLt.so.12"}

// folders are where toolkits put it, beside those of the driver.
var folders = [...]string{
	"/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib", "/usr/local/cuda/targets/sbsa-linux/lib", "/opt/cuda/lib64",
}

// Folders are where it is looked for, those of the driver among them.
func Folders() []string { return append(folders[:len(folders):len(folders)], driver.Folders[:]...) }

// symbol is a function of the library.
type symbol int

const (
	symVersion symbol = iota
	symStatusName
	symCreate
	symDestroy
	symDescCreate
	symDescDestroy
	symDescSet
	symLayoutCreate
	symLayoutDestroy
	symLayoutSet
	symPreferenceCreate
	symPreferenceDestroy
	symPreferenceSet
	symHeuristic
	symMatmul
	symbols
)

var names = [symbols]string{
	symVersion:           "cublasLtGetVersion",
	symStatusName:        "cublasLtGetStatusName",
	symCreate:            "cublasLtCreate",
	symDestroy:           "cublasLtDestroy",
	symDescCreate:        "cublasLtMatmulDescCreate",
	symDescDestroy:       "cublasLtMatmulDescDestroy",
	symDescSet:           "cublasLtMatmulDescSetAttribute",
	symLayoutCreate:      "cublasLtMatrixLayoutCreate",
	symLayoutDestroy:     "cublasLtMatrixLayoutDestroy",
	symLayoutSet:         "cublasLtMatrixLayoutSetAttribute",
	symPreferenceCreate:  "cublasLtMatmulPreferenceCreate",
	symPreferenceDestroy: "cublasLtMatmulPreferenceDestroy",
	symPreferenceSet:     "cublasLtMatmulPreferenceSetAttribute",
	symHeuristic:         "cublasLtMatmulAlgoGetHeuristic",
	symMatmul:            "cublasLtMatmul",
}

// library is an open cuBLASLt.
type library struct {
	path string
	at   [symbols]uintptr
}

// load opens the library in path, or where it is found.
func load(path string) (*library, error) {
	paths := []string{path}
	if path == "" {
		paths = Names[:len(Names):len(Names)]
		for _, dir := range Folders() {
			for _, name := range Names {
				paths = append(paths, filepath.Join(dir, name))
			}
		}
	}
	var first error
	for _, p := range paths {
		handle, err := driver.OpenLibrary(p)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		l := &library{path: p}
		for s, name := range names {
			if l.at[s], err = driver.Lookup(handle, name); err != nil {
				return nil, fmt.Errorf("%w: %s has no function %s", ErrNotFound, p, name)
			}
		}
		return l, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrNotFound, first)
}

// check is the error of a status; nil for success.
func (l *library) check(s symbol, status int32) error {
	if status == 0 {
		return nil
	}
	name := "status"
	if p := l.text(symStatusName, uintptr(status)); p != "" {
		name = p
	}
	return fmt.Errorf("%s: %s (%d)", names[s], name, status)
}

// do calls a function that gives a status.
//
//go:uintptrescapes
func (l *library) do(s symbol, args ...uintptr) error {
	return l.check(s, int32(driver.Call(l.at[s], args...)))
}

// text is the C string that a function gives, of at most 64 bytes.
func (l *library) text(s symbol, args ...uintptr) string {
	var p *byte
	*(*uintptr)(unsafe.Pointer(&p)) = driver.Call(l.at[s], args...)
	if p == nil {
		return ""
	}
	for n := range 64 {
		if b := unsafe.Slice(p, n+1); b[n] == 0 {
			return string(b[:n])
		}
	}
	return ""
}

// Handle is the library on a device.
type Handle struct {
	lib    *library
	device *driver.Device
	handle uintptr
	one    [2]float32 // what a product is multiplied by, and what the result was before
}

// Open opens the library in path, or where toolkits put it for "", on a device.
func Open(path string, d *driver.Device) (*Handle, error) {
	lib, err := load(path)
	if err != nil {
		return nil, err
	}
	h := &Handle{lib: lib, device: d, one: [2]float32{1, 0}}
	if err := d.Enter(); err != nil {
		return nil, err
	}
	defer d.Leave()
	if err := lib.do(symCreate, uintptr(unsafe.Pointer(&h.handle))); err != nil {
		return nil, fmt.Errorf("%s: %w", lib.path, err)
	}
	return h, nil
}

// Path is where the library was found.
func (h *Handle) Path() string { return h.lib.path }

// Version is the library's, as "13.4.1".
func (h *Handle) Version() string {
	v := driver.Call(h.lib.at[symVersion])
	if v >= 100000 { // from 12 on; before, a thousand a major version
		return fmt.Sprintf("%d.%d.%d", v/10000, v%10000/100, v%100)
	}
	return fmt.Sprintf("%d.%d.%d", v/1000, v%1000/100, v%100)
}

// Close gives back what the library has on the device. Products of the handle must
// not run any more.
func (h *Handle) Close() error {
	if err := h.device.Enter(); err != nil {
		return err
	}
	defer h.device.Leave()
	defer runtime.KeepAlive(h)
	return h.lib.do(symDestroy, h.handle)
}
