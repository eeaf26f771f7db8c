// Package session runs plans: a Store holds the states of a model on a device,
// and a Session is a plan whose kernels are bound to a store and to a work
// arena.
//
// It does not know how a plan came about, nor what its numbers mean.
package session

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/kernels"
)

// Store holds the states of one model on one device, by path. Plans of the
// same model share it.
type Store struct {
	backend kernels.Backend
	states  map[string]held
	own     bool // the device has memory of its own
	bytes   int64
	room    kernels.Buffer   // of several states, or nil
	places  map[string]int64 // where in it each lies that is still to be loaded
	copied  []byte           // room for a tensor that is no part of its file as it is
}

type held struct {
	tensor kernels.Tensor
	bytes  int64
	mapped bool // lies in a file's pages, not in memory of our own
	shared bool // lies in the room of several
	pairs  bool // has rows as its file has them
}

// NewStore returns an empty store.
func NewStore(b kernels.Backend) *Store {
	_, own := b.(kernels.OwnMemory)
	return &Store{backend: b, states: map[string]held{}, own: own}
}

// Bytes is the memory of all states, whether allocated or mapped from a file.
func (s *Store) Bytes() int64 { return s.bytes }

// Tensor returns the memory of a state.
func (s *Store) Tensor(path string) (kernels.Tensor, bool) {
	h, ok := s.states[path]
	return h.tensor, ok
}

// Mapped reports whether a state lies in the pages of a file.
func (s *Store) Mapped(path string) bool { return s.states[path].mapped }

// Reserve allocates the states that the store lacks, but for weights: as zeros,
// or as the number that Init says.
func (s *Store) Reserve(states []plan.State) error {
	return s.Vacant(slices.DeleteFunc(slices.Clone(states), func(st plan.State) bool { return st.Kind == ir.Weight }))
}

// Largest are the states of plans of one model, each as the plan has it that needs
// most: caches are as large as the sequences that a plan is for.
func Largest(plans []*plan.Plan) []plan.State {
	at := map[string]int{}
	var list []plan.State
	for _, p := range plans {
		for _, s := range p.States {
			i, seen := at[s.Path]
			switch {
			case !seen:
				at[s.Path] = len(list)
				list = append(list, s)
			case s.Bytes > list[i].Bytes:
				list[i] = s
			}
		}
	}
	return list
}

// WorkBytes is the size of a work arena that plans share: what the one needs that needs most.
func WorkBytes(plans []*plan.Plan) int64 {
	var most int64
	for _, p := range plans {
		most = max(most, p.WorkBytes)
	}
	return most
}

// Vacant allocates the states that the store lacks, as zeros, weights too.
func (s *Store) Vacant(states []plan.State) error {
	for _, st := range states {
		if _, ok := s.states[st.Path]; ok {
			continue
		}
		if err := s.allocate(st); err != nil {
			return err
		}
		if v, err := strconv.ParseFloat(st.Init, 32); err == nil && v != 0 {
			if st.Type.DType != ir.F32 {
				return fmt.Errorf("state %s of %v begins at %s; only f32 can", st.Path, st.Type, st.Init)
			}
			one := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v)))
			if err := s.Write(st.Path, bytes.Repeat(one, st.Type.Elems())); err != nil {
				return err
			}
		}
	}
	return nil
}

// New allocates a weight and fills it with values in C order, row-major.
func (s *Store) New(st plan.State, data []byte) error {
	if err := s.allocate(st); err != nil {
		return err
	}
	t := s.states[st.Path].tensor
	return s.backend.Pack(st.Layout, st.Type, t.Buffer, t.Offset, data)
}

// Read copies a state that lies row-major.
func (s *Store) Read(path string, dst []byte) error {
	h, ok := s.states[path]
	if !ok || h.tensor.Layout != "" {
		return fmt.Errorf("state %s is not held row by row", path)
	}
	return h.tensor.Buffer.Read(h.tensor.Offset, dst)
}

// Write replaces a state that lies row-major.
func (s *Store) Write(path string, src []byte) error {
	h, ok := s.states[path]
	if !ok || h.tensor.Layout != "" {
		return fmt.Errorf("state %s is not held row by row", path)
	}
	return h.tensor.Buffer.Write(h.tensor.Offset, src)
}

func (s *Store) allocate(st plan.State) error {
	if _, _, err := s.take(st); err != nil {
		return fmt.Errorf("%s: %w", st.Path, err)
	}
	return nil
}

func (s *Store) hold(st plan.State, b kernels.Buffer, mapped bool) {
	s.states[st.Path] = held{
		tensor: kernels.Tensor{Buffer: b, DType: st.Type.DType, Shape: st.Type.Sizes(), Layout: st.Layout},
		bytes:  st.Bytes, mapped: mapped, pairs: st.Pairs,
	}
	s.bytes += taken(s.backend, st)
}

// Room allocates at once what the store will hold of states, each of which is listed once:
// of a device with memory of its own all of them, else weights in layouts of the
// device, so that large pages hold many.
func (s *Store) Room(states []plan.State) error {
	places := map[string]int64{}
	var size int64
	for _, st := range states {
		_, held := s.states[st.Path]
		if held || !s.own && (st.Kind != ir.Weight || st.Layout == "") {
			continue
		}
		places[st.Path] = size
		size += aligned(s.backend, st.Bytes)
	}
	if size == 0 || s.room != nil {
		return nil
	}
	room, err := s.backend.Alloc(size)
	s.room, s.places = room, places
	return err
}

// StateBytes is what states take in a store, each of which is listed once.
func StateBytes(b kernels.Backend, states []plan.State) int64 {
	var sum int64
	for _, st := range states {
		sum += taken(b, st)
	}
	return sum
}

// taken is what a state takes in a room: with what is left free behind it.
func taken(b kernels.Backend, st plan.State) int64 {
	if _, own := b.(kernels.OwnMemory); own {
		return aligned(b, st.Bytes)
	}
	return st.Bytes
}

func aligned(b kernels.Backend, n int64) int64 { return (n + b.Align() - 1) / b.Align() * b.Align() }

// take holds a state in its place in the room, or in memory of its own, zeroed.
func (s *Store) take(st plan.State) (kernels.Buffer, int64, error) {
	b := s.room
	at, shared := s.places[st.Path]
	if !shared {
		var err error
		if b, err = s.backend.Alloc(st.Bytes); err != nil {
			return nil, 0, err
		}
	}
	delete(s.places, st.Path)
	s.hold(st, b, false)
	h := s.states[st.Path]
	h.tensor.Offset, h.shared = at, shared
	s.states[st.Path] = h
	return b, at, nil
}

// Free gives all memory back. Sessions bound to the store must not run again.
func (s *Store) Free() error {
	var first error
	for path, h := range s.states {
		if !h.mapped && !h.shared {
			if err := h.tensor.Buffer.Free(); err != nil && first == nil {
				first = err
			}
		}
		delete(s.states, path)
	}
	if s.room != nil {
		if err := s.room.Free(); err != nil && first == nil {
			first = err
		}
	}
	s.room, s.places, s.bytes = nil, nil, 0
	return first
}
