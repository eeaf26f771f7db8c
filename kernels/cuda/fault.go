package cuda

import (
	"context"
	"encoding/binary"
	"math"
	"unsafe"

	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// faultsBytes is the pinned memory that slots are cut from, 4 bytes for each.
const faultsBytes = 4096

// faults are the words into which kernels write places that are out of range.
type faults struct {
	memory []*driver.Pinned
	used   int // bytes of the last
}

// slot is the word of one step: the least place of its index that was out of range.
type slot struct {
	at   driver.Pointer
	word *uint32
	in   *group // runs the step; nil as long as it has run alone only
	step int
	read func() error // the error, where word says that there is one
}

// none is the word of a step that found all places in range.
const none = math.MaxUint32

// slot returns a word for a step that is bound. Words are never given back: a
// step that is bound anew takes 4 bytes more.
func (b *Backend) slot() (*slot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &b.faults
	if len(f.memory) == 0 || f.used == faultsBytes {
		p, err := b.device.AllocPinned(faultsBytes)
		if err != nil {
			return nil, err
		}
		for i := range p.Data {
			p.Data[i] = 0xff // none
		}
		f.memory, f.used = append(f.memory, p), 0
		b.held.pinned += faultsBytes
	}
	p := f.memory[len(f.memory)-1]
	s := &slot{at: p.Pointer() + driver.Pointer(f.used), word: (*uint32)(unsafe.Pointer(&p.Data[f.used]))}
	f.used += 4
	return s, nil
}

func (f *faults) close() error {
	var first error
	for _, p := range f.memory {
		if err := p.Free(); first == nil {
			first = err
		}
	}
	return first
}

// take says what the step found, once, when its run is done; nil if all was in range.
func (s *slot) take() error {
	if *s.word == none {
		return nil
	}
	err := s.read()
	*s.word = none
	return err
}

// checked makes run, which tells of a place in index that is not below limit in
// bad, fail where it does: at once, or in Wait of the group that it runs in.
func (b *Backend) checked(run kernels.Step, bad *slot, index kernels.Tensor, at driver.Pointer, limit int) kernels.Step {
	word := make([]byte, 8)
	bad.read = func() error {
		place, size := int(*bad.word), index.DType.Size()
		if err := b.stage.read(word[:size], at+driver.Pointer(place*size)); err != nil {
			return err
		}
		value := int(int64(binary.LittleEndian.Uint64(word)))
		if size == 4 {
			value = int(int32(binary.LittleEndian.Uint32(word)))
		}
		return &kernels.IndexError{At: place, Index: value, Limit: limit}
	}
	return func(ctx context.Context) error {
		if in, ok := ctx.(*inside); ok {
			in.watch(bad)
			return run(ctx)
		}
		if err := run(ctx); err != nil {
			return err
		}
		if err := b.Sync(ctx); err != nil {
			return err
		}
		return bad.take()
	}
}
