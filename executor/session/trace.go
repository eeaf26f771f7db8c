package session

import (
	"context"
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
)

// NaNError says where numbers stopped being finite.
type NaNError struct {
	Pos   ir.Pos // the line that asked for the op
	Op    string
	Index int // of the first such element
}

func (e *NaNError) Error() string {
	return fmt.Sprintf("%v: %s: element %d of its output is NaN or infinite", e.Pos, e.Op, e.Index)
}

// Trace makes the same call as Run once more, and looks at the output of
// every step. It returns a *NaNError for the first that holds NaN or infinity,
// nil if none does. It is slow: call it after a run went wrong.
func (s *Session) Trace(ctx context.Context) error {
	if s.parts != nil {
		return s.eachPart(func(part *Session) error { return part.Trace(ctx) })
	}
	for i, run := range s.steps {
		if err := run(ctx); err != nil {
			return err
		}
		for _, t := range s.outs[i] {
			if !t.DType.Float() {
				continue
			}
			data := make([]byte, t.Len()*t.DType.Size())
			if err := t.Buffer.Read(t.Offset, data); err != nil {
				return err
			}
			if at := checkpoint.FirstNaN(t.DType, data); at >= 0 {
				return &NaNError{Pos: s.plan.Steps[i].Pos, Op: s.plan.Steps[i].Op, Index: at}
			}
		}
	}
	return nil
}
