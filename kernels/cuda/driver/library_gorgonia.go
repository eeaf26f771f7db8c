//go:build gorgonia && linux && cgo

package driver

import (
	"reflect"
	"unsafe"

	"gorgonia.org/cu"
)

// linked is the library that gorgonia.org/cu is linked with.
const linked = "libcuda.so.1"

// bound are the functions of the driver as gorgonia.org/cu has them; args are those
// of cuda.h. What it lacks (graphs and their recording, pinned memory, large shared
// memory, the log of the compiler) is called as in other builds.
var bound = [symbols]func(args []uintptr) error{
	symDeviceCount: func(a []uintptr) error { return give[int32, int](a[0])(cu.NumDevices()) },
	symDeviceGet:   func(a []uintptr) error { return give[int32, cu.Device](a[0])(cu.GetDevice(int(a[1]))) },
	symDeviceName: func(a []uintptr) error {
		name, err := cu.Device(a[2]).Name()
		copy(unsafe.Slice(at[byte](a[0]), a[1]-1), name)
		return err
	},
	symDeviceMemory: func(a []uintptr) error { return give[uint64, int64](a[0])(cu.Device(a[1]).TotalMem()) },
	symDeviceAttribute: func(a []uintptr) error {
		return give[int32, int](a[0])(cu.Device(a[2]).Attribute(cu.DeviceAttribute(a[1])))
	},
	symPrimaryRetain:  func(a []uintptr) error { return keep[cu.CUContext](a[0])(cu.Device(a[1]).RetainPrimaryCtx()) },
	symPrimaryRelease: func(a []uintptr) error { return cu.Device(a[0]).ReleasePrimaryCtx() },
	symSetCurrent:     func(a []uintptr) error { return cu.SetCurrentContext(as[cu.CUContext](a[0])) },
	symMemoryInfo: func(a []uintptr) (err error) {
		free, all, err := cu.MemInfo()
		*at[uint64](a[0]), *at[uint64](a[1]) = uint64(free), uint64(all)
		return err
	},
	symAlloc:    func(a []uintptr) error { return give[uint64, cu.DevicePtr](a[0])(cu.MemAlloc(int64(a[1]))) },
	symFree:     func(a []uintptr) error { return cu.MemFree(cu.DevicePtr(a[0])) },
	symHostFree: func(a []uintptr) error { return cu.MemFreeHost(as[unsafe.Pointer](a[0])) },
	symToDevice: func(a []uintptr) error {
		return cu.MemcpyHtoDAsync(cu.DevicePtr(a[0]), as[unsafe.Pointer](a[1]), int64(a[2]), as[cu.Stream](a[3]))
	},
	symToHost: func(a []uintptr) error {
		return cu.MemcpyDtoHAsync(as[unsafe.Pointer](a[0]), cu.DevicePtr(a[1]), int64(a[2]), as[cu.Stream](a[3]))
	},
	symOnDevice: func(a []uintptr) error {
		return cu.MemcpyDtoDAsync(cu.DevicePtr(a[0]), cu.DevicePtr(a[1]), int64(a[2]), as[cu.Stream](a[3]))
	},
	symSet8: func(a []uintptr) error {
		return cu.MemsetD8Async(cu.DevicePtr(a[0]), byte(a[1]), int64(a[2]), as[cu.Stream](a[3]))
	},
	symModuleUnload: func(a []uintptr) error { return as[cu.Module](a[0]).Unload() },
	symFunction: func(a []uintptr) error {
		return keep[cu.Function](a[0])(as[cu.Module](a[1]).Function(text(at[byte](a[2]), 1<<16)))
	},
	symStreamCreate:  func(a []uintptr) error { return keep[cu.Stream](a[0])(cu.MakeStream(cu.StreamFlags(a[1]))) },
	symStreamDestroy: func(a []uintptr) error { s := as[cu.Stream](a[0]); return s.Destroy() },
	symStreamSync:    func(a []uintptr) error { return as[cu.Stream](a[0]).Synchronize() },
	symStreamWait:    func(a []uintptr) error { return as[cu.Stream](a[0]).Wait(as[cu.Event](a[1]), uint(a[2])) },
	symEventCreate:   func(a []uintptr) error { return keep[cu.Event](a[0])(cu.MakeEvent(cu.EventFlags(a[1]))) },
	symEventDestroy:  func(a []uintptr) error { e := as[cu.Event](a[0]); return cu.DestroyEvent(&e) },
	symEventRecord:   func(a []uintptr) error { return as[cu.Event](a[0]).Record(as[cu.Stream](a[1])) },
	symEventSync:     func(a []uintptr) error { return as[cu.Event](a[0]).Synchronize() },
	symEventElapsed: func(a []uintptr) error {
		return give[float32, float64](a[0])(as[cu.Event](a[1]).Elapsed(as[cu.Event](a[2])))
	},
}

// at is what lies at an address that came as a number.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// as is a handle that came as a number: those of gorgonia.org/cu hold the driver's
// pointer and nothing else.
func as[T any](handle uintptr) T { return *(*T)(unsafe.Pointer(&handle)) }

// number is what functions of gorgonia.org/cu count in.
type number interface {
	~int | ~int32 | ~int64 | ~uint64 | ~uintptr | ~float32 | ~float64
}

// give takes a number that a function returns to an address where the driver would
// have written it.
func give[To number, From number](address uintptr) func(From, error) error {
	return func(v From, err error) error {
		*at[To](address) = To(v)
		return err
	}
}

// keep does so with a handle.
func keep[T any](address uintptr) func(T, error) error {
	return func(v T, err error) error {
		*at[T](address) = v
		return err
	}
}

// call calls a function of the driver, by gorgonia.org/cu where that has it.
//
//go:uintptrescapes
func (l *library) call(s symbol, args ...uintptr) int32 {
	if f := bound[s]; f != nil {
		return code(f(args))
	}
	return int32(Call(l.at[s], args...))
}

// code is the CUresult of an error of gorgonia.org/cu, whose type is its own secret.
func code(err error) int32 {
	switch v := reflect.ValueOf(err); {
	case err == nil:
		return 0
	case v.Kind() == reflect.Int:
		return int32(v.Int())
	}
	return codeUnknown
}

// launch launches a kernel with the arguments of cuLaunchKernel; its parameter is n
// bytes at p. gorgonia.org/cu copies parameters of 8 bytes each one after the other,
// so the words of one struct lie as the struct does.
func (l *library) launch(args []uintptr, p unsafe.Pointer, n uintptr) int32 {
	words := make([]uint64, (n+7)/8+1)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n), unsafe.Slice((*byte)(p), n))
	params := make([]unsafe.Pointer, len(words))
	for i := range words {
		params[i] = unsafe.Pointer(&words[i])
	}
	a := func(i int) int { return int(args[i]) }
	return code(as[cu.Function](args[0]).Launch(a(1), a(2), a(3), a(4), a(5), a(6), a(7), as[cu.Stream](args[8]), params))
}
