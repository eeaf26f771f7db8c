// Package driver calls NVIDIA's driver, libcuda, which it looks for when it is
// opened: nothing is needed to build, and a machine without it gets an error
// that says so.
//
// It is as small as the backend needs: a device with its primary context,
// memory, streams, events, modules, launches and graphs. It computes nothing
// and knows no kernel.
package driver

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Oldest is the oldest driver that will do, as cuDriverGetVersion counts: 12.0,
// which reads PTX 8.0.
const Oldest = 12000

// OldestCapability is the least compute capability that will do, ten times the
// major number and the minor one: 8.0, for which the kernels are compiled.
const OldestCapability = 80

// Options says which device to open.
type Options struct {
	Library string // the path of libcuda; "" means where drivers put it
	Ordinal int    // of the device
}

// Info is what a device says of itself.
type Info struct {
	Library         string // where the driver was found
	Name            string
	Memory          int64 // bytes in all
	Major, Minor    int   // compute capability
	Driver          int   // 1000 times the major version of CUDA and 10 times the minor
	Multiprocessors int
	SharedMemory    int // bytes that a block may have at most
}

// Capability is the compute capability, as 80 for 8.0.
func (i Info) Capability() int { return 10*i.Major + i.Minor }

// Version is the version of CUDA that the driver serves, as "12.4".
func (i Info) Version() string { return fmt.Sprintf("%d.%d", i.Driver/1000, i.Driver%1000/10) }

// Device is an open device with its primary context. Its methods may be called
// from any goroutine.
type Device struct {
	Info
	lib     *library
	ordinal int32
	context uintptr
	current []uintptr // the arguments that make the context current
}

// attributes of a device, as cuda.h numbers them.
const (
	attributeMultiprocessors = 16
	attributeMajor           = 75
	attributeMinor           = 76
	attributeSharedOptIn     = 97
)

// Count returns how many devices the driver has.
func Count(libraryPath string) (int, error) {
	lib, err := load(libraryPath)
	if err != nil {
		return 0, err
	}
	return lib.count()
}

func (l *library) count() (int, error) {
	var n int32
	if err := l.do(symDeviceCount, uintptr(unsafe.Pointer(&n))); err != nil {
		return 0, err
	}
	return int(n), nil
}

// Look returns what a device says of itself without opening it: no context is
// made, no memory taken.
func Look(o Options) (Info, error) {
	lib, err := load(o.Library)
	if err != nil {
		return Info{}, err
	}
	_, info, err := lib.device(o.Ordinal)
	return info, err
}

// Open opens a device. It fails with ErrNoDriver, ErrTooOld or ErrNoDevice
// where that is why.
func Open(o Options) (*Device, error) {
	lib, err := load(o.Library)
	if err != nil {
		return nil, err
	}
	ordinal, info, err := lib.device(o.Ordinal)
	if err != nil {
		return nil, err
	}
	if info.Capability() < OldestCapability {
		return nil, fmt.Errorf("%w: %s has compute capability %d.%d; kernels need %d.%d", ErrTooOld, info.Name, info.Major, info.Minor, OldestCapability/10, OldestCapability%10)
	}
	d := &Device{Info: info, lib: lib, ordinal: ordinal}
	if err := lib.do(symPrimaryRetain, uintptr(unsafe.Pointer(&d.context)), uintptr(ordinal)); err != nil {
		return nil, err
	}
	d.current = []uintptr{d.context}
	return d, nil
}

// device finds a device and asks what it is.
func (l *library) device(ordinal int) (int32, Info, error) {
	info := Info{Library: l.path, Driver: l.version}
	n, err := l.count()
	if err != nil {
		return 0, info, err
	}
	if n == 0 {
		return 0, info, fmt.Errorf("%w: the driver in %s sees none", ErrNoDevice, l.path)
	}
	if ordinal < 0 || ordinal >= n {
		return 0, info, fmt.Errorf("%w: no device %d; the driver sees %d, counted from 0", ErrNoDevice, ordinal, n)
	}
	var device int32
	if err := l.do(symDeviceGet, uintptr(unsafe.Pointer(&device)), uintptr(ordinal)); err != nil {
		return 0, info, err
	}
	name := make([]byte, 256)
	if err := l.do(symDeviceName, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)), uintptr(device)); err != nil {
		return 0, info, err
	}
	info.Name = text(&name[0], len(name))
	var bytes uint64
	if err := l.do(symDeviceMemory, uintptr(unsafe.Pointer(&bytes)), uintptr(device)); err != nil {
		return 0, info, err
	}
	info.Memory = int64(bytes)
	for _, a := range []struct {
		to   *int
		what uintptr
	}{{&info.Major, attributeMajor}, {&info.Minor, attributeMinor}, {&info.Multiprocessors, attributeMultiprocessors}, {&info.SharedMemory, attributeSharedOptIn}} {
		var v int32
		if err := l.do(symDeviceAttribute, uintptr(unsafe.Pointer(&v)), a.what, uintptr(device)); err != nil {
			return 0, info, err
		}
		*a.to = int(v)
	}
	return device, info, nil
}

// Close gives the primary context back. Nothing of the device may be used after.
func (d *Device) Close() error {
	return d.lib.do(symPrimaryRelease, uintptr(d.ordinal))
}

// enter binds the goroutine to its thread and makes the context current there:
// the driver keeps it for each thread. leave undoes the first.
func (d *Device) enter() error {
	runtime.LockOSThread()
	return d.lib.check(symSetCurrent, d.lib.call(symSetCurrent, d.current...))
}

func (d *Device) leave() { runtime.UnlockOSThread() }

// Enter makes the goroutine ready for the Put methods, and keeps it to its thread
// until Leave: once for many launches.
func (d *Device) Enter() error {
	err := d.enter()
	if err != nil {
		d.leave()
	}
	return err
}

// Leave ends what Enter began.
func (d *Device) Leave() { d.leave() }

// do calls the driver with the context current.
//
//go:uintptrescapes
func (d *Device) do(s symbol, args ...uintptr) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	return d.lib.check(s, d.lib.call(s, args...))
}

// text is the C string at p, of at most n bytes.
func text(p *byte, n int) string {
	b := unsafe.Slice(p, n)
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
