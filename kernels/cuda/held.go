package cuda

import (
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// held is what the backend holds beside buffers, bytes.
type held struct {
	tables, code, graphs int64 // on the device
	pinned               int64 // of the host, for words of faults
}

// nowhere is an address that nothing lies at.
const nowhere driver.Pointer = 1 << 46

// Nowhere returns a buffer without memory, to bind steps that never run.
func (b *Backend) Nowhere(n int64) kernels.Buffer { return &buffer{b, nowhere, n, true} }

// Beyond lists what is held by now: constants that kernels read, as they were
// allocated; their code and graphs, by how much less memory there was after they
// were loaded and made; and pinned memory.
func (b *Backend) Beyond() []kernels.Beyond {
	b.mu.Lock()
	defer b.mu.Unlock()
	return []kernels.Beyond{
		{What: "constants of kernels", Bytes: b.held.tables}, {What: "code of kernels", Bytes: b.held.code}, {What: "graphs", Bytes: b.held.graphs},
		{What: "pinned for transfers", Bytes: int64(len(b.stage.slots))*stageBytes + b.held.pinned, Host: true},
	}
}

// measure adds to sum what f takes of the device's memory, as far as the driver
// shows it.
func (b *Backend) measure(sum *int64, f func() error) error {
	before, failed := b.device.FreeMemory()
	if err := f(); err != nil {
		return err
	}
	if after, err := b.device.FreeMemory(); failed == nil && err == nil {
		*sum += max(0, before-after)
	}
	return nil
}
