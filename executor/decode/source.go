package decode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/session"
)

// Source computes what a model remembers of the ids, or of the signal, that a text is made of.
// Its sessions and those that make the text share the states that hold it.
type Source struct {
	steps []sourceStep // by size, the smallest first
	size  int          // ids of the source that was read last
}

// sourceStep is a session that reads a source of at most so many ids, or of so many
// numbers.
type sourceStep struct {
	run    *session.Session
	ids    string // name of the input
	size   int
	signal bool
}

// NewSource returns what reads sources by sessions of the entry that encodes:
// an input of ids [1, size], and "lengths" [1]; or one session with an input of numbers
// [1, ...] of known sizes.
func NewSource(sessions []*session.Session) (*Source, error) {
	s := &Source{}
	for _, run := range sessions {
		st := sourceStep{run: run}
		for _, in := range run.Plan().Inputs {
			t := in.Place.Type
			one := st.ids == "" && t.Rank() > 1 && t.Shape[0].N == 1
			switch {
			case in.Name == "lengths":
			case one && t.DType == ir.I32 && t.Rank() == 2:
				st.ids, st.size = in.Name, t.Shape[1].N
			case one && t.DType == ir.F32 && len(sessions) == 1:
				st.ids, st.size, st.signal = in.Name, t.Elems(), true
			default:
				return nil, fmt.Errorf("input %s is %v: a source is ids [batch,source] in i32, and \"lengths\" [batch], or numbers of known sizes", in.Name, t)
			}
		}
		if st.ids == "" {
			return nil, errors.New("a model that reads a source has an input of its ids, or of a signal")
		}
		s.steps = append(s.steps, st)
	}
	if len(s.steps) == 0 {
		return nil, errors.New("there is no plan that reads a source")
	}
	slices.SortFunc(s.steps, func(a, b sourceStep) int { return a.size - b.size })
	return s, nil
}

// Signal is how many numbers a source has, of a model that makes text of a signal; 0 if
// it makes it of ids.
func (s *Source) Signal() int {
	if !s.steps[0].signal {
		return 0
	}
	return s.steps[0].size
}

// read computes what is remembered of what a request is made of, until the next call.
func (s *Source) read(ctx context.Context, r *Request) error {
	want := s.Signal()
	switch {
	case want == 0 && r.Signal == nil:
		return s.Read(ctx, r.Source)
	case want == 0:
		return errors.New("the model makes text of ids, not of a signal")
	case len(r.Signal) != want:
		return fmt.Errorf("the model makes text of a signal of %d numbers, and there are %d", want, len(r.Signal))
	}
	st := s.steps[0]
	data := make([]byte, 0, 4*want)
	for _, v := range r.Signal {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	if err := st.run.Write(st.ids, data); err != nil {
		return err
	}
	return st.run.Run(ctx)
}

// SourceError says why a source can't be read.
type SourceError struct {
	Tokens, Room int // of the source, and how many there is room for
}

func (e *SourceError) Error() string {
	if e.Tokens == 0 {
		return "the source is empty: there is nothing to make text of"
	}
	return fmt.Sprintf("the source has %d tokens and there is room for %d: shorten it, or set the model's context", e.Tokens, e.Room)
}

// Read computes what is remembered of ids, until the next call. What fills up
// the ids of a call is not seen.
func (s *Source) Read(ctx context.Context, ids []int32) error {
	at := slices.IndexFunc(s.steps, func(st sourceStep) bool { return st.size >= len(ids) })
	if len(ids) == 0 || at < 0 {
		return &SourceError{len(ids), s.steps[len(s.steps)-1].size}
	}
	st := s.steps[at]
	data := make([]byte, 4*st.size)
	for i, id := range ids {
		binary.LittleEndian.PutUint32(data[4*i:], uint32(id))
	}
	if err := st.run.Write(st.ids, data); err != nil {
		return err
	}
	if st.run.Reads("lengths") {
		if err := st.run.Write("lengths", binary.LittleEndian.AppendUint32(nil, uint32(len(ids)))); err != nil {
			return err
		}
	}
	s.size = len(ids)
	return st.run.Run(ctx)
}

// lengths are the sizes of the sources of so many sequences, of which all have one.
func (s *Source) lengths(rows int) []byte {
	return slices.Repeat(binary.LittleEndian.AppendUint32(nil, uint32(s.size)), rows)
}
