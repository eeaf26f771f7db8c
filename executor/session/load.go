package session

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
)

// Load reads the states of kind Weight that the store lacks from c, whose
// headers must have been proven. Row-major weights are used where the file is
// mapped if the device can; others are packed, and their pages given back.
// NaN or infinity in a weight is an error. name gives the name that c has for a
// path. progress, if not nil, hears bytes.
func (s *Store) Load(c *checkpoint.Checkpoint, name func(path string) string, states []plan.State, progress func(bytes int64)) error {
	for _, st := range states {
		if st.Kind != ir.Weight {
			continue
		}
		if _, ok := s.states[st.Path]; ok {
			continue
		}
		if err := s.load(c, name(st.Path), st); err != nil {
			return err
		}
		if progress != nil {
			progress(st.Bytes)
		}
	}
	return nil
}

func (s *Store) load(c *checkpoint.Checkpoint, name string, st plan.State) error {
	if checkpoint.Stacked(name) {
		return s.loadStack(c, name, st)
	}
	t, ok := c.Lookup(name)
	if !ok {
		return &checkpoint.Error{File: c.Path(), Msg: fmt.Sprintf("has no tensor %q", name)}
	}
	var data []byte
	var err error
	if st.Pairs {
		data, err = c.ViewPairs(name)
	} else if data, err = c.ViewInto(name, s.copied); err == nil && t.Heads > 0 {
		s.copied = data
	}
	if err != nil {
		return err
	}
	native := t.DType == st.Type.DType
	if st.Layout == "" && native && !st.Changes && c.InFile(name, st.Pairs) { // what training changes needs memory of its own
		if b, ok := s.backend.Map(data); ok {
			s.hold(st, b, true)
			return finite(t, name, data, 0)
		}
	}
	if st.Layout == "" && !t.DType.Blocked() && !st.Type.DType.Blocked() {
		return s.stream(c, t, name, st, data)
	}
	if err := finite(t, name, data, 0); err != nil {
		return err
	}
	if !native {
		if data, err = convert(t.DType, st.Type, data); err != nil {
			return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q: %v", name, err)}
		}
	}
	b, at, err := s.take(st)
	if err != nil {
		return fmt.Errorf("%s: %w", st.Path, err)
	}
	if err := s.backend.Pack(st.Layout, st.Type, b, at, data); err != nil {
		return fmt.Errorf("%s: %w", st.Path, err)
	}
	c.Release(name)
	return nil
}

// finite says which element of a tensor, of which data are those after so many, is no
// number.
func finite(t checkpoint.Tensor, name string, data []byte, before int) error {
	if i := checkpoint.FirstNaN(t.DType, data); i >= 0 {
		return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q: element %d is NaN or infinite", name, before+i)}
	}
	return nil
}

// StreamBytes are read of a row-major weight at a time, where it is copied or converted
// to another type: a file goes to a device through no more memory.
const StreamBytes = 4 << 20

// stream copies a row-major weight to the device piece by piece, and gives the pages of
// each back.
func (s *Store) stream(c *checkpoint.Checkpoint, t checkpoint.Tensor, name string, st plan.State, data []byte) error {
	b, at, err := s.take(st)
	if err != nil {
		return fmt.Errorf("%s: %w", st.Path, err)
	}
	size, read := t.DType.Size(), reader(t.DType)
	native := t.DType == st.Type.DType
	to := st.Type.DType
	if !native && (read == nil || to != ir.F32 && !narrow(to)) {
		return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q: %v cannot be read as %v", name, t.DType, to)}
	}
	var other []byte // a piece as elements of the plan's type
	if !native {
		other = make([]byte, 0, min(StreamBytes, len(data))/size*to.Size())
	}
	for from := 0; from < len(data); {
		piece := data[from:min(from+StreamBytes, len(data))]
		if err := finite(t, name, piece, from/size); err != nil {
			return err
		}
		out := piece
		if !native {
			if other, err = appendAs(other[:0], to, read, size, piece); err != nil {
				return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q: %v", name, err)}
			}
			out = other
		}
		if err := b.Write(at, out); err != nil {
			return fmt.Errorf("%s: %w", st.Path, err)
		}
		c.ReleasePart(name, int64(from), int64(len(piece)))
		from, at = from+len(piece), at+int64(len(out))
	}
	c.Release(name)
	return nil
}

// loadStack reads a weight that lies in the checkpoint as one tensor for each
// expert, one after the other.
func (s *Store) loadStack(c *checkpoint.Checkpoint, name string, st plan.State) error {
	parts := c.Parts(name)
	if shape := st.Type.Sizes(); len(parts) != shape[0] || st.Bytes%int64(len(parts)) != 0 {
		return &checkpoint.Error{File: c.Path(), Msg: fmt.Sprintf("has %d tensors %q, want %d", len(parts), name, shape[0])}
	}
	b, at, err := s.take(st)
	if err != nil {
		return fmt.Errorf("%s: %w", st.Path, err)
	}
	one := st.Type.With(st.Type.Shape[1:]...)
	for i, t := range parts {
		data, err := c.View(t.Name)
		if err != nil {
			return err
		}
		if n := checkpoint.FirstNaN(t.DType, data); n >= 0 {
			return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q: element %d is NaN or infinite", t.Name, n)}
		}
		if t.DType != st.Type.DType {
			if data, err = convert(t.DType, one, data); err != nil {
				return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q: %v", t.Name, err)}
			}
		}
		if err := s.backend.Pack(st.Layout, one, b, at+int64(i)*(st.Bytes/int64(len(parts))), data); err != nil {
			return fmt.Errorf("%s: %w", st.Path, err)
		}
		c.Release(t.Name)
	}
	return nil
}
