package driver

import (
	"sync"
	"unsafe"
)

// Stream is a queue of work; what is put there runs in order. Copies, waits and
// events allocate nothing: their arguments are kept.
type Stream struct {
	d      *Device
	handle uintptr
	sync   []uintptr // arguments

	mu   sync.Mutex
	args [4]uintptr
}

// streamNonBlocking keeps a stream apart from the one that everybody shares.
const streamNonBlocking = 1

// NewStream makes a stream.
func (d *Device) NewStream() (*Stream, error) {
	s := &Stream{d: d}
	err := d.do(symStreamCreate, uintptr(unsafe.Pointer(&s.handle)), streamNonBlocking)
	s.sync = []uintptr{s.handle}
	return s, err
}

// Sync waits until all work of the stream is done. It returns what went wrong
// in any of it.
func (s *Stream) Sync() error { return s.d.do(symStreamSync, s.sync...) }

// Wait makes later work of the stream wait for an event.
func (s *Stream) Wait(e *Event) error { return s.with(symStreamWait, s.handle, e.handle, 0) }

// Handle is the stream, as libraries of NVIDIA's take it.
func (s *Stream) Handle() uintptr { return s.handle }

// with calls the driver with arguments that are kept.
func (s *Stream) with(what symbol, args ...uintptr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := copy(s.args[:], args)
	return s.d.do(what, s.args[:n]...)
}

// Close destroys the stream when its work is done.
func (s *Stream) Close() error { return s.d.do(symStreamDestroy, s.handle) }

// Event is a place in a stream.
type Event struct {
	d      *Device
	handle uintptr
	sync   []uintptr // arguments
}

// NewEvent makes an event that lies nowhere yet.
func (d *Device) NewEvent() (*Event, error) {
	e := &Event{d: d}
	err := d.do(symEventCreate, uintptr(unsafe.Pointer(&e.handle)), 0)
	e.sync = []uintptr{e.handle}
	return e, err
}

// Record puts the event behind all work that s has now.
func (e *Event) Record(s *Stream) error { return s.with(symEventRecord, e.handle, s.handle) }

// Sync waits until the work before the event is done.
func (e *Event) Sync() error { return e.d.do(symEventSync, e.sync...) }

// Since returns the milliseconds from an earlier event to this one; both are done.
func (e *Event) Since(earlier *Event) (float32, error) {
	var ms float32
	err := e.d.do(symEventElapsed, uintptr(unsafe.Pointer(&ms)), earlier.handle, e.handle)
	return ms, err
}

// Close destroys the event.
func (e *Event) Close() error { return e.d.do(symEventDestroy, e.handle) }

// Graph is work that was recorded and is launched as a whole.
type Graph struct {
	d      *Device
	handle uintptr
	args   []uintptr
}

// captureThread keeps a capture to the calls of one thread.
const captureThread = 1

// Capture records what f puts into s, which does not run then, as a graph.
func (s *Stream) Capture(f func() error) (*Graph, error) {
	defer s.d.leave() // a capture belongs to a thread
	if err := s.d.enter(); err != nil {
		return nil, err
	}
	if err := s.d.do(symCaptureBegin, s.handle, captureThread); err != nil {
		return nil, err
	}
	failed := f()
	var graph uintptr
	err := s.d.do(symCaptureEnd, s.handle, uintptr(unsafe.Pointer(&graph)))
	if failed != nil {
		err = failed
	}
	if graph != 0 {
		defer s.d.do(symGraphDestroy, graph)
	}
	if err != nil {
		return nil, err
	}
	g := &Graph{d: s.d}
	if err := s.d.do(symGraphInstantiate, uintptr(unsafe.Pointer(&g.handle)), graph, 0); err != nil {
		return nil, err
	}
	g.args = []uintptr{g.handle, s.handle}
	return g, nil
}

// Launch puts the recorded work into the stream that it was recorded on.
func (g *Graph) Launch() error { return g.d.do(symGraphLaunch, g.args...) }

// Put is Launch between Enter and Leave of the device.
func (g *Graph) Put() error {
	return g.d.lib.check(symGraphLaunch, g.d.lib.call(symGraphLaunch, g.args...))
}

// Close destroys the graph.
func (g *Graph) Close() error { return g.d.do(symGraphExecDestroy, g.handle) }
