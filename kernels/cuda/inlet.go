package cuda

import (
	"errors"
	"fmt"
	"sync"

	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// inlet is memory that a stream of its own fills, by way of pinned memory of its own, while
// kernels run in the backend's. Two events keep the streams in step, so that the host waits for neither.
type inlet struct {
	b      *Backend
	room   *buffer
	stream *driver.Stream
	stage  stage
	order  sync.RWMutex  // nothing is recorded of the stream
	filled *driver.Event // in the stream, behind what was copied last
	taken  *driver.Event // in the backend's, behind what was taken last
}

// Inlet allocates memory for bytes on their way, and 8 MiB of pinned memory.
func (b *Backend) Inlet(n int64) (kernels.Inlet, error) {
	in := &inlet{b: b}
	if err := in.open(n); err != nil {
		return nil, errors.Join(fmt.Errorf("cuda: an inlet of %d bytes: %w", n, err), in.Free())
	}
	b.mu.Lock()
	b.held.pinned += int64(len(in.stage.slots)) * stageBytes
	b.mu.Unlock()
	return in, nil
}

func (in *inlet) open(n int64) error {
	room, err := in.b.Alloc(n)
	if err != nil {
		return err
	}
	in.room = room.(*buffer)
	d := in.b.device
	if in.stream, err = d.NewStream(); err != nil {
		return err
	}
	if in.filled, err = d.NewEvent(); err != nil {
		return err
	}
	if in.taken, err = d.NewEvent(); err != nil {
		return err
	}
	// The room is cleared in the backend's stream.
	if err := in.b.alone(func() error { return in.taken.Record(in.b.stream) }); err != nil {
		return err
	}
	return in.stage.open(d, in.stream, &in.order)
}

// Fill begins to copy src, beside all that runs.
func (in *inlet) Fill(offset int64, src []byte) error {
	if err := in.room.check("fill", offset, int64(len(src))); err != nil {
		return err
	}
	err := in.stream.Wait(in.taken)
	if err == nil {
		err = in.stage.write(in.room.at+driver.Pointer(offset), src)
	}
	if err == nil {
		err = in.filled.Record(in.stream)
	}
	if err != nil {
		return fmt.Errorf("cuda: fill %d bytes: %w", len(src), err)
	}
	return nil
}

// Take copies what was filled to where it is read, behind all steps.
func (in *inlet) Take(offset, n int64, to kernels.Buffer, at int64) error {
	u, ok := to.(*buffer)
	if !ok || u.b != in.b || u.none {
		return fmt.Errorf("cuda: an inlet flows into memory of another device")
	}
	if err := errors.Join(in.room.check("take", offset, n), u.check("take", at, n)); err != nil {
		return err
	}
	return in.b.alone(func() error {
		err := in.b.stream.Wait(in.filled)
		if err == nil {
			err = in.b.stream.Copy(u.at+driver.Pointer(at), in.room.at+driver.Pointer(offset), n)
		}
		if err == nil {
			err = in.taken.Record(in.b.stream)
		}
		if err != nil {
			return fmt.Errorf("cuda: take %d bytes: %w", n, err)
		}
		return nil
	})
}

// Free gives the memory back when what is on its way has arrived.
func (in *inlet) Free() error {
	var ends []func() error
	if in.stream != nil {
		ends = append(ends, in.stream.Sync, in.b.stream.Sync)
	}
	if in.stage.stream != nil {
		ends = append(ends, in.stage.close)
	}
	for _, e := range []*driver.Event{in.filled, in.taken} {
		if e != nil {
			ends = append(ends, e.Close)
		}
	}
	if in.stream != nil {
		ends = append(ends, in.stream.Close)
	}
	if in.room != nil {
		ends = append(ends, in.room.Free)
	}
	var errs []error
	for _, end := range ends {
		errs = append(errs, gone(end()))
	}
	in.stream, in.filled, in.taken, in.room, in.stage = nil, nil, nil, nil, stage{}
	return errors.Join(errs...)
}
