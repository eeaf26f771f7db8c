package learn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/session"
	"pipe.dev/kernels"
)

// feed runs one batch, and returns the sum of its losses and their count. number is what
// the batch was filled ahead under, if it was; beside, if it is not nil, is called while the device is at it.
func (t *Trainer) feed(ctx context.Context, s *session.Session, b *data.Batch, number int64, beside func() error) (sum, count float64, err error) {
	if err := t.toDevice(s.Plan()); err != nil {
		return 0, 0, err
	}
	there, err := t.ahead.take(s, number)
	if err != nil {
		return 0, 0, err
	}
	for _, in := range s.Plan().Inputs {
		if there && ofBatch(in) {
			continue
		}
		if err := t.input(s, s.Plan(), in, b); err != nil {
			return 0, 0, err
		}
	}
	err = s.Run(ctx)
	if err == nil && beside != nil {
		err = beside()
	}
	if err == nil {
		err = s.Wait(ctx)
	}
	if err != nil {
		var index *kernels.IndexError
		if errors.As(err, &index) {
			err = &checkpoint.Error{File: t.cfg.Data, Msg: "holds a class or an id that the model lacks: " + err.Error()}
		}
		return 0, 0, err
	}
	if sum, err = t.scalar(s, "loss"); err != nil {
		return 0, 0, err
	}
	if count, err = t.scalar(s, "count"); err != nil {
		return 0, 0, err
	}
	return sum, count, nil
}

// sizeOf is what the plans of batches are found by: the length of rows, or the
// shape of examples.
func sizeOf(b *data.Batch) int {
	if b.Values != nil {
		return data.Shape{Bucket: b.Bucket, Rows: b.Rows}.Key()
	}
	return b.Seq
}

// to takes the inputs of a plan: a session, or what is filled for its next run.
type to interface {
	Write(name string, data []byte) error
}

// input writes what a batch has for an input of a plan.
func (t *Trainer) input(s to, p *plan.Plan, in plan.Port, b *data.Batch) error {
	switch in.Name {
	case "lr", "step": // see scalars
		return nil
	case "#done":
		return t.floats(s, in.Name, []float32{float32(t.step)})
	case "counter":
		return t.ints(s, in.Name, []int32{t.counter})
	}
	if b.Values != nil {
		if data, ok := b.Values[in.Name]; ok {
			return s.Write(in.Name, data)
		}
		return fmt.Errorf("examples have nothing for the input %s of %s", in.Name, p.Name)
	}
	switch in.Name {
	case "ids":
		return t.ints(s, in.Name, b.IDs)
	case "targets":
		return t.ints(s, in.Name, b.Targets)
	case "weights":
		return t.floats(s, in.Name, b.Weights)
	case "segments":
		return t.ints(s, in.Name, b.Segments)
	}
	return fmt.Errorf("batches have nothing for the input %s of %s", in.Name, p.Name)
}

func (t *Trainer) scalars(s to, rate float64, turn int) error {
	return errors.Join(t.floats(s, "lr", []float32{float32(rate)}), t.floats(s, "step", []float32{float32(turn)}))
}

func (t *Trainer) ints(s to, name string, x []int32) error {
	t.raw = t.raw[:0]
	for _, v := range x {
		t.raw = binary.LittleEndian.AppendUint32(t.raw, uint32(v))
	}
	return s.Write(name, t.raw)
}

func (t *Trainer) floats(s to, name string, x []float32) error {
	t.raw = t.raw[:0]
	for _, v := range x {
		t.raw = binary.LittleEndian.AppendUint32(t.raw, math.Float32bits(v))
	}
	return s.Write(name, t.raw)
}

func (t *Trainer) scalar(s *session.Session, name string) (float64, error) {
	var b [4]byte
	err := s.Read(name, b[:])
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[:]))), err
}

// values reads an output of f32.
func (t *Trainer) values(s *session.Session, name string, ty ir.Type) ([]float64, error) {
	raw := make([]byte, 4*ty.Elems())
	err := s.Read(name, raw)
	out := make([]float64, ty.Elems())
	for i := range out {
		out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	return out, err
}
