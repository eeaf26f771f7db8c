package session

import (
	"fmt"

	"pipe.dev/compiler/plan"
	"pipe.dev/kernels"
)

// Ahead gives sessions inputs of their next runs while the device is still at another.
type Ahead struct {
	inlet  kernels.Inlet
	bytes  int64
	align  int64
	of     *Session
	filled []filled
	end    int64
}

// filled is an input that is on its way.
type filled struct {
	to    kernels.Tensor
	at, n int64
}

// AheadBytes is the memory of what NewAhead makes for plans: of all inputs of one of
// them. It is 0 on a device that can't copy beside what it computes.
func AheadBytes(b kernels.Backend, plans []*plan.Plan) int64 {
	if _, ok := b.(kernels.Feeder); !ok {
		return 0
	}
	var most int64
	for _, p := range plans {
		var sum int64
		for _, in := range p.Inputs {
			sum += aligned(b, in.Place.Type.Bytes())
		}
		most = max(most, sum)
	}
	return most
}

// NewAhead makes room for the inputs of any one of plans; nil on a device that can't
// copy beside what it computes.
func NewAhead(b kernels.Backend, plans []*plan.Plan) (*Ahead, error) {
	n := AheadBytes(b, plans)
	if n == 0 {
		return nil, nil
	}
	in, err := b.(kernels.Feeder).Inlet(n)
	if err != nil {
		return nil, err
	}
	return &Ahead{inlet: in, bytes: n, align: b.Align()}, nil
}

// Bytes is the memory of the device that it takes.
func (a *Ahead) Bytes() int64 { return a.bytes }

// Begin forgets what was not taken: what is written from now on is for the next run of s.
func (a *Ahead) Begin(s *Session) { a.of, a.filled, a.end = s, a.filled[:0], 0 }

// Write begins to copy an input, which may change when it returns.
func (a *Ahead) Write(name string, data []byte) error {
	t, ok := a.of.inputs[name]
	if want := t.Len() * t.DType.Size(); !ok || len(data) != want {
		return fmt.Errorf("input %s of plan %s has %d bytes, want %d", name, a.of.plan.Name, len(data), want)
	}
	if err := a.inlet.Fill(a.end, data); err != nil {
		return err
	}
	n := int64(len(data))
	a.filled = append(a.filled, filled{t, a.end, n})
	a.end += (n + a.align - 1) / a.align * a.align
	return nil
}

// Take makes what was written the inputs of the session's next run.
func (a *Ahead) Take() error {
	for _, f := range a.filled {
		if err := a.inlet.Take(f.at, f.n, f.to.Buffer, f.to.Offset); err != nil {
			return err
		}
	}
	a.filled = a.filled[:0]
	return nil
}

// Free gives the memory back.
func (a *Ahead) Free() error { return a.inlet.Free() }
