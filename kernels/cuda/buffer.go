package cuda

import (
	"errors"
	"fmt"
	"sync"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// buffer is a run of device memory.
type buffer struct {
	b    *Backend
	at   driver.Pointer // 0 once it is freed
	size int64
	none bool // there is no memory
}

// Alloc returns zeroed device memory.
func (b *Backend) Alloc(n int64) (kernels.Buffer, error) {
	if n < 0 {
		return nil, fmt.Errorf("cuda: can't allocate %d bytes", n)
	}
	at, err := b.device.Alloc(max(n, 1))
	if err == nil {
		err = b.alone(func() error { return b.stream.Clear(at, max(n, 1)) })
	}
	if err != nil {
		return nil, fmt.Errorf("cuda: allocate %d bytes: %w", n, err)
	}
	return &buffer{b: b, at: at, size: n}, nil
}

// Map has no way to read host memory at the speed of the device.
func (b *Backend) Map([]byte) (kernels.Buffer, bool) { return nil, false }

func (u *buffer) Size() int64 { return u.size }

func (u *buffer) check(what string, offset, n int64) error {
	if u.at == 0 {
		return fmt.Errorf("cuda: %s of a buffer that was freed", what)
	}
	if offset < 0 || offset > u.size-n {
		return fmt.Errorf("cuda: %s of %d bytes at %d, beyond a buffer of %d", what, n, offset, u.size)
	}
	return nil
}

// Write copies src, behind all steps that were called before.
func (u *buffer) Write(offset int64, src []byte) error {
	if err := u.check("write", offset, int64(len(src))); err != nil {
		return err
	}
	if u.none {
		return fmt.Errorf("cuda: write to a buffer without memory")
	}
	return u.b.stage.write(u.at+driver.Pointer(offset), src)
}

// Read waits for all steps that were called before.
func (u *buffer) Read(offset int64, dst []byte) error {
	if err := u.check("read", offset, int64(len(dst))); err != nil {
		return err
	}
	if u.none {
		return fmt.Errorf("cuda: read of a buffer without memory")
	}
	return u.b.stage.read(dst, u.at+driver.Pointer(offset))
}

// Move copies within the memory, behind all steps that were called before.
func (u *buffer) Move(to, from, n int64) error {
	if err := errors.Join(u.check("move", to, n), u.check("move", from, n)); err != nil {
		return err
	}
	if u.none {
		return fmt.Errorf("cuda: move in a buffer without memory")
	}
	err := u.b.alone(func() error { return u.b.stream.Copy(u.at+driver.Pointer(to), u.at+driver.Pointer(from), n) })
	if err != nil {
		return fmt.Errorf("cuda: move %d bytes: %w", n, err)
	}
	return nil
}

// Free gives the memory back. Steps bound to it must not run any more.
func (u *buffer) Free() error {
	if u.at == 0 || u.none {
		return nil
	}
	at := u.at
	u.at = 0
	return gone(u.b.device.Free(at))
}

// pointer is where a tensor lies; 0 for one that was left out.
func (b *Backend) pointer(t kernels.Tensor) (driver.Pointer, error) {
	if t.Buffer == nil {
		return 0, nil
	}
	u, ok := t.Buffer.(*buffer)
	if !ok || u.b != b {
		return 0, fmt.Errorf("cuda: a tensor in memory of another device")
	}
	return u.at + driver.Pointer(t.Offset), u.check("use", t.Offset, ir.T(t.DType, t.Shape...).Bytes())
}

// pointers are where tensors lie.
func (b *Backend) pointers(ts ...kernels.Tensor) ([]driver.Pointer, error) {
	out := make([]driver.Pointer, len(ts))
	for i, t := range ts {
		var err error
		if out[i], err = b.pointer(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// stageBytes is the size of a slot, large enough that the bus is busy.
const stageBytes = 4 << 20

// stage moves bytes between the memory of Go and the device, by way of pinned
// memory: while the device takes one slot, the other is filled.
type stage struct {
	mu     sync.Mutex
	stream *driver.Stream
	order  *sync.RWMutex // of the backend
	slots  [2]load
	next   int
}

// load is pinned memory on its way.
type load struct {
	memory *driver.Pinned
	done   *driver.Event // what was last put there has been taken
}

func (s *stage) open(d *driver.Device, stream *driver.Stream, order *sync.RWMutex) error {
	s.stream, s.order = stream, order
	for i := range s.slots {
		var err error
		if s.slots[i].memory, err = d.AllocPinned(stageBytes); err != nil {
			return err
		}
		if s.slots[i].done, err = d.NewEvent(); err != nil {
			return err
		}
	}
	return nil
}

// write begins to copy src, which may change when it returns.
func (s *stage) write(to driver.Pointer, src []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order.RLock()
	defer s.order.RUnlock()
	for len(src) > 0 {
		t := &s.slots[s.next]
		s.next = 1 - s.next
		if err := t.done.Sync(); err != nil {
			return fmt.Errorf("cuda: %w", err)
		}
		n := copy(t.memory.Data, src)
		err := s.stream.ToDevice(to, t.memory, 0, n)
		if err == nil {
			err = t.done.Record(s.stream)
		}
		if err != nil {
			return fmt.Errorf("cuda: write %d bytes: %w", len(src), err)
		}
		src, to = src[n:], to+driver.Pointer(n)
	}
	return nil
}

// read copies from the device when all that was put into the stream is done. While one slot
// fills, the other is emptied.
func (s *stage) read(dst []byte, from driver.Pointer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order.RLock()
	defer s.order.RUnlock()
	var full *load // that of dst[:n]
	for n := 0; len(dst) > 0; {
		var next *load
		if rest := dst[n:]; len(rest) > 0 {
			next = &s.slots[s.next]
			s.next = 1 - s.next
			if err := s.fetch(next, from, min(len(rest), stageBytes)); err != nil {
				return fmt.Errorf("cuda: read %d bytes: %w", len(rest), err)
			}
			from += driver.Pointer(min(len(rest), stageBytes))
		}
		if full != nil {
			wait := full.done.Sync
			if next == nil {
				wait = s.stream.Sync
			}
			if err := wait(); err != nil {
				return fmt.Errorf("cuda: read %d bytes: %w", len(dst), err)
			}
			copy(dst[:n], full.memory.Data)
			dst = dst[n:]
		}
		full, n = next, min(len(dst), stageBytes)
	}
	return nil
}

// fetch begins to fill a slot from the device.
func (s *stage) fetch(t *load, from driver.Pointer, n int) error {
	err := t.done.Sync()
	if err == nil {
		err = s.stream.ToHost(t.memory, 0, from, n)
	}
	if err == nil {
		err = t.done.Record(s.stream)
	}
	return err
}

func (s *stage) close() error {
	var first error
	for _, t := range s.slots {
		if t.done == nil { // it was not opened as a whole
			continue
		}
		for _, end := range []func() error{t.done.Close, t.memory.Free} {
			if err := gone(end()); first == nil {
				first = err
			}
		}
	}
	return first
}

// gone is an error of giving something back: none where the device is lost, and all
// that it had with it, which has been told.
func gone(err error) error {
	if errors.Is(err, driver.ErrLost) {
		return nil
	}
	return err
}
