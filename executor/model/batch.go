package model

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/session"
	"pipe.dev/kernels"
)

// batch is what continuing several prompts at once needs.
type batch struct {
	plans   map[decode.Shape]*plan.Plan
	shapes  []decode.Shape // in order
	prompts []int          // lengths
	most    int            // tokens that each is continued by
	rows    int            // at once
	places  int            // sequences that the caches have room for
	context int            // positions of each
}

// Batch asks for what continuing prompts needs, so many at once at most: plans
// for all their calls. prompts are their lengths, want is how many tokens each is
// continued by at most. Caches hold what these need, but where what a model
// computes goes by how long sequences may get: there, as much as for one text.
func (m *Model) Batch(prompts []int, want, rows int) error {
	if err := m.findContext(); err != nil {
		return err
	}
	if err := m.planBatch(prompts, want, rows); err != nil {
		return err
	}
	return m.fitsTokenizer(m.batch.plans[decode.Shape{Rows: m.batch.places, Size: 1}])
}

func (m *Model) planBatch(prompts []int, want, rows int) error {
	b, err := m.batchOf(prompts, want, rows)
	if err != nil {
		return err
	}
	m.batch = b
	m.want(b.list()...)
	return nil
}

// batchOf makes the plans of a batch.
func (m *Model) batchOf(prompts []int, want, rows int) (*batch, error) {
	b := &batch{plans: map[decode.Shape]*plan.Plan{}, rows: rows, places: decode.Places(len(prompts), rows), context: m.context,
		prompts: prompts, most: want}
	program, err := m.program(m.step())
	if err != nil {
		return nil, err
	}
	if !program.Spans() {
		b.context = min(b.context, slices.Max(prompts)+want)
	}
	for _, s := range decode.Shapes(prompts, rows, b.context) {
		if b.plans[s], err = m.stepPlan(s.Rows, s.Size, b.context); err != nil {
			return nil, err
		}
		b.shapes = append(b.shapes, s)
	}
	return b, nil
}

// list are the plans of a batch, those of the fewest sequences first.
func (b *batch) list() []*plan.Plan {
	var list []*plan.Plan
	for _, s := range b.shapes {
		list = append(list, b.plans[s])
	}
	return list
}

// fewer is how many sequences at once would fit, if any number would.
func (m *Model) fewer(limit int64) (rows int, ok bool) {
	for rows = min(m.batch.rows, len(m.batch.prompts)) / 2; rows > 0; rows /= 2 {
		b, err := m.batchOf(m.batch.prompts, m.batch.most, rows)
		if err != nil {
			break
		}
		if m.peakBytes(b.list()) <= limit {
			return rows, true
		}
	}
	return 0, false
}

// BatchOf returns what makes several texts at once. Batch must have been asked
// for; without it there is nil.
func (m *Model) BatchOf() *decode.Batch {
	b := m.batch
	if b == nil {
		return nil
	}
	return decode.NewBatch(decode.BatchOptions{
		Rows: b.rows, Context: b.context, Move: m.move(b.plans[decode.Shape{Rows: b.places, Size: 1}]),
		Session: func(s decode.Shape) (*session.Session, error) {
			p, ok := b.plans[s]
			if !ok {
				return nil, fmt.Errorf("no plan was asked for %d sequences of %d positions", s.Rows, s.Size)
			}
			return m.session(p)
		},
	})
}

// move copies what the caches of a plan hold of a sequence from position first to
// that before end; what they hold of a source all sequences share.
func (m *Model) move(p *plan.Plan) func(from, to, first, end int) error {
	places, context := p.Sizes["batch"], p.Sizes["ctx"]
	return func(from, to, first, end int) error {
		for _, s := range states(p) {
			if s.Kind != ir.Cache || s.Type.Shape[0].N != places {
				continue
			}
			row := s.Bytes / int64(places)
			t, ok := m.tensor(s.Path)
			if !ok || s.Layout != "" {
				return fmt.Errorf("cache %s is not held row by row", s.Path)
			}
			at, size := int64(0), row
			if n := s.Type.Shape[1].N; n == context { // others hold what is not of positions
				at, size = row/int64(n)*int64(first), row/int64(n)*int64(end-first)
			}
			if err := moveBytes(t.Buffer, t.Offset+row*int64(to)+at, t.Offset+row*int64(from)+at, size); err != nil {
				return err
			}
		}
		return nil
	}
}

// moveBytes copies n bytes of a buffer to another place in it, on the device if it can.
func moveBytes(b kernels.Buffer, to, from, n int64) error {
	if m, ok := b.(kernels.Mover); ok {
		return m.Move(to, from, n)
	}
	data := make([]byte, n)
	if err := b.Read(from, data); err != nil {
		return err
	}
	return b.Write(to, data)
}
