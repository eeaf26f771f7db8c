package driver

import "unsafe"

// Pointer is an address in device memory.
type Pointer uint64

// Alloc returns n bytes of device memory, not cleared; n must not be 0.
func (d *Device) Alloc(n int64) (Pointer, error) {
	var p Pointer
	err := d.do(symAlloc, uintptr(unsafe.Pointer(&p)), uintptr(n))
	return p, err
}

// Free gives memory back. It waits for what the device does with it.
func (d *Device) Free(p Pointer) error { return d.do(symFree, uintptr(p)) }

// FreeMemory returns the bytes that can still be allocated.
func (d *Device) FreeMemory() (int64, error) {
	var free, total uint64
	err := d.do(symMemoryInfo, uintptr(unsafe.Pointer(&free)), uintptr(unsafe.Pointer(&total)))
	return int64(free), err
}

// Pinned is host memory that the device copies to and from directly, and that
// kernels may read and write at Pointer.
type Pinned struct {
	d    *Device
	Data []byte
}

// hostMapped asks that kernels see pinned memory.
const hostMapped = 2

// AllocPinned returns n bytes of pinned memory; n must not be 0.
func (d *Device) AllocPinned(n int) (*Pinned, error) {
	var p *byte
	if err := d.do(symHostAlloc, uintptr(unsafe.Pointer(&p)), uintptr(n), hostMapped); err != nil {
		return nil, err
	}
	return &Pinned{d, unsafe.Slice(p, n)}, nil
}

// Pointer is where kernels see the memory: addresses are the same on both sides.
func (p *Pinned) Pointer() Pointer { return Pointer(uintptr(unsafe.Pointer(&p.Data[0]))) }

// Free gives the memory back.
func (p *Pinned) Free() error {
	at := uintptr(unsafe.Pointer(&p.Data[0]))
	p.Data = nil
	return p.d.do(symHostFree, at)
}

// ToDevice begins to copy pinned bytes [from, from+n) to a place on the device.
func (s *Stream) ToDevice(to Pointer, p *Pinned, from, n int) error {
	return s.copy(symToDevice, uintptr(to), uintptr(unsafe.Pointer(&p.Data[from])), n)
}

// ToHost begins to copy n bytes from the device to pinned memory at place to.
func (s *Stream) ToHost(p *Pinned, to int, from Pointer, n int) error {
	return s.copy(symToHost, uintptr(unsafe.Pointer(&p.Data[to])), uintptr(from), n)
}

// Copy begins to copy n bytes on the device.
func (s *Stream) Copy(to, from Pointer, n int64) error {
	return s.copy(symOnDevice, uintptr(to), uintptr(from), int(n))
}

// Clear begins to set n bytes on the device to zero.
func (s *Stream) Clear(p Pointer, n int64) error {
	return s.d.do(symSet8, uintptr(p), 0, uintptr(n), s.handle)
}

func (s *Stream) copy(what symbol, to, from uintptr, n int) error {
	return s.with(what, to, from, uintptr(n), s.handle)
}
