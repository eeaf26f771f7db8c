package driver

import (
	"fmt"
	"strings"
	"sync"
	"unsafe"
)

// Module is code on the device.
type Module struct {
	d      *Device
	handle uintptr
}

// options of cuModuleLoadDataEx.
const (
	jitErrorLog      = 5
	jitErrorLogBytes = 6
	logBytes         = 8192
)

// Load compiles PTX for the device. What the compiler says is in the error.
func (d *Device) Load(ptx string) (*Module, error) {
	image := append([]byte(ptx), 0)
	log := make([]byte, logBytes)
	keys := []int32{jitErrorLog, jitErrorLogBytes}
	values := []unsafe.Pointer{unsafe.Pointer(&log[0]), nil}
	*(*uintptr)(unsafe.Pointer(&values[1])) = logBytes
	m := &Module{d: d}
	err := d.do(symModuleLoad, uintptr(unsafe.Pointer(&m.handle)), uintptr(unsafe.Pointer(&image[0])), uintptr(len(keys)), uintptr(unsafe.Pointer(&keys[0])), uintptr(unsafe.Pointer(&values[0])))
	if e, ok := err.(*Error); ok {
		e.Log = strings.Join(strings.Fields(text(&log[0], logBytes)), " ")
	}
	return m, err
}

// Close unloads the code.
func (m *Module) Close() error { return m.d.do(symModuleUnload, m.handle) }

// Function is a kernel.
type Function struct {
	d      *Device
	name   string
	handle uintptr
	mu     sync.Mutex
	shared int // bytes that launches may ask for
}

// Function finds a kernel by its name.
func (m *Module) Function(name string) (*Function, error) {
	c := append([]byte(name), 0)
	f := &Function{d: m.d, name: name}
	if err := m.d.do(symFunction, uintptr(unsafe.Pointer(&f.handle)), m.handle, uintptr(unsafe.Pointer(&c[0]))); err != nil {
		return nil, fmt.Errorf("kernel %s: %w", name, err)
	}
	return f, nil
}

// functionShared is the attribute for more shared memory than 48 KiB.
const functionShared = 8

// AllowShared lets the kernel have n bytes of shared memory that a launch asks
// for, up to Info.SharedMemory; what was allowed before stays so.
func (f *Function) AllowShared(n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n <= f.shared {
		return nil
	}
	if err := f.d.do(symFunctionAttribute, f.handle, functionShared, uintptr(n)); err != nil {
		return fmt.Errorf("kernel %s: %d bytes of shared memory: %w", f.name, n, err)
	}
	f.shared = n
	return nil
}

// parameterBytes is the size of the kernel's one parameter; false if the driver
// can't say.
func (f *Function) parameterBytes() (int, bool) {
	if f.d.lib.at[symParameter] == 0 {
		return 0, false
	}
	var offset, size uint64
	err := f.d.do(symParameter, f.handle, 0, uintptr(unsafe.Pointer(&offset)), uintptr(unsafe.Pointer(&size)))
	return int(size), err == nil
}

// Dim is a size in three directions; of none is 0.
type Dim struct{ X, Y, Z int }

// Launch is a kernel with all that it needs to run, kept so that nothing is
// allocated when it does.
type Launch struct {
	d      *Device
	name   string
	params []unsafe.Pointer
	bytes  uintptr // of the one parameter
	args   []uintptr
}

// largest are the most blocks in each direction.
const (
	largestX  = 1<<31 - 1
	largestYZ = 1<<16 - 1
)

// NewLaunch makes a launch on s with shared bytes of shared memory. params is
// the kernel's parameter: all kernels have one, a struct. It is read at every
// run, and may be changed between.
func NewLaunch[P any](f *Function, grid, block Dim, shared int, s *Stream, params *P) (*Launch, error) {
	if n, ok := f.parameterBytes(); ok && n != int(unsafe.Sizeof(*params)) {
		return nil, fmt.Errorf("kernel %s takes a parameter of %d bytes, not %d", f.name, n, unsafe.Sizeof(*params))
	}
	if grid.X < 1 || grid.X > largestX || grid.Y < 1 || grid.Y > largestYZ || grid.Z < 1 || grid.Z > largestYZ {
		return nil, fmt.Errorf("kernel %s: a grid of %d x %d x %d blocks", f.name, grid.X, grid.Y, grid.Z)
	}
	l := &Launch{d: f.d, name: f.name, params: []unsafe.Pointer{unsafe.Pointer(params)}, bytes: unsafe.Sizeof(*params)}
	l.args = []uintptr{f.handle, uintptr(grid.X), uintptr(grid.Y), uintptr(grid.Z), uintptr(block.X), uintptr(block.Y), uintptr(block.Z),
		uintptr(shared), s.handle, uintptr(unsafe.Pointer(&l.params[0])), 0}
	return l, nil
}

// Run puts the kernel into its stream. It does not allocate.
func (l *Launch) Run() error {
	defer l.d.leave()
	if err := l.d.enter(); err != nil {
		return fmt.Errorf("kernel %s: %w", l.name, err)
	}
	return l.Put()
}

// Put is Run between Enter and Leave of the device.
func (l *Launch) Put() error {
	if code := l.d.lib.launch(l.args, l.params[0], l.bytes); code != 0 {
		return fmt.Errorf("kernel %s: %w", l.name, l.d.lib.check(symLaunch, code))
	}
	return nil
}
