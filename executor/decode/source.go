package decode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/session"
)

// Source computes what a model remembers of the ids that a text is made of.
// Its sessions and those that make the text share the states that hold it.
type Source struct {
	steps []sourceStep // by size, the smallest first
	size  int          // ids of the source that was read last
}

// sourceStep is a session that reads a source of at most so many ids.
type sourceStep struct {
	run  *session.Session
	ids  string // name of the input
	size int
}

// NewSource returns what reads sources by sessions of the entry that encodes:
// an input of ids [1, size], and "lengths" [1].
func NewSource(sessions []*session.Session) (*Source, error) {
	s := &Source{}
	for _, run := range sessions {
		st := sourceStep{run: run}
		for _, in := range run.Plan().Inputs {
			if t := in.Place.Type; in.Name != "lengths" && t.DType == ir.I32 && t.Rank() == 2 && t.Shape[0].N == 1 && st.ids == "" {
				st.ids, st.size = in.Name, t.Shape[1].N
			} else if in.Name != "lengths" {
				return nil, fmt.Errorf("input %s is %v: a source is ids [batch,source] in i32, and \"lengths\" [batch]", in.Name, t)
			}
		}
		if st.ids == "" {
			return nil, errors.New("a model that reads a source has an input of its ids")
		}
		s.steps = append(s.steps, st)
	}
	if len(s.steps) == 0 {
		return nil, errors.New("there is no plan that reads a source")
	}
	slices.SortFunc(s.steps, func(a, b sourceStep) int { return a.size - b.size })
	return s, nil
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
