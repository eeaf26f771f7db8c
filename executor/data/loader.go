package data

import (
	"io"
	"sync"
)

// Loader gives batches, one after the other. One goroutine may use it.
type Loader struct {
	plan    *planner
	now     Position // after the last batch given
	segment []int32  // by row: the number of its next document
	ids     []uint32

	// With prefetching, a goroutine fills slots in order.
	full, empty chan *slot
	stop        chan struct{}
	ended       bool
	running     sync.WaitGroup
}

// slot is a batch made ahead, and the position after it; Step is 0 if there is none.
type slot struct {
	batch Batch
	after Position
	ok    bool
}

// Batches makes a Loader that begins at a position: the zero Position, or one of a Loader of the same data and options.
// Rank, World and Prefetch may differ. Close must be called in the end.
func (d *Dataset) Batches(o BatchOptions, from Position) (*Loader, error) {
	if err := o.check(d); err != nil {
		return nil, err
	}
	pos, err := d.start(&o, from)
	if err != nil {
		return nil, err
	}
	p, err := newPlanner(d, o, pos)
	if err != nil {
		return nil, err
	}
	l := &Loader{plan: p, segment: make([]int32, o.Batch), ids: make([]uint32, o.Seq+1)}
	pos.copyTo(&l.now)
	if o.Prefetch > 0 {
		l.full, l.empty, l.stop = make(chan *slot, o.Prefetch), make(chan *slot, o.Prefetch), make(chan struct{})
		for range o.Prefetch {
			l.empty <- &slot{}
		}
		l.running.Go(l.ahead)
	}
	return l, nil
}

// Count is how many batches there are from the beginning, or most if there are
// no fewer. It reads lengths of documents, no tokens.
func (d *Dataset) Count(o BatchOptions, most int64) (int64, error) {
	o.Prefetch = 0
	l, err := d.Batches(o, Position{})
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for n < most && l.plan.plan() {
		n++
	}
	return n, nil
}

// Next fills dst with the next batch; io.EOF after the last. It uses dst's memory, and allocates nothing once that and
// its own are large enough. With prefetching it exchanges its memory with dst's.
func (l *Loader) Next(dst *Batch) error {
	if l.ended {
		return io.EOF
	}
	if l.full == nil {
		if !l.make(dst) {
			return io.EOF
		}
		l.plan.pos.copyTo(&l.now)
		return nil
	}
	s := <-l.full
	if !s.ok {
		l.ended = true
		return io.EOF
	}
	s.batch, *dst = *dst, s.batch
	s.after.copyTo(&l.now)
	l.empty <- s
	return nil
}

// Position is where the loader stands: after the last batch that Next gave, whatever was made ahead.
func (l *Loader) Position() Position {
	var p Position
	l.now.copyTo(&p)
	return p
}

// Close ends the loader and its goroutine; Next gives io.EOF from then on.
func (l *Loader) Close() {
	l.ended = true
	if l.stop != nil {
		close(l.stop)
		l.running.Wait()
		l.full, l.stop = nil, nil
	}
}

func (l *Loader) ahead() {
	for {
		var s *slot
		select {
		case <-l.stop:
			return
		case s = <-l.empty:
		}
		s.ok = l.make(&s.batch)
		l.plan.pos.copyTo(&s.after)
		l.full <- s // has room for every slot
		if !s.ok {
			return
		}
	}
}

// make plans and fills the next batch.
func (l *Loader) make(b *Batch) bool {
	p := l.plan
	if !p.plan() {
		return false
	}
	rows := p.o.Batch / p.o.World
	first := p.o.Rank * rows
	b.reset(rows, p.seq, p.o.Pad)
	clear(l.segment)
	for i := range p.rows {
		if q := &p.rows[i]; q.row >= first && q.row < first+rows {
			l.fill(b, q, q.row-first)
		}
	}
	return true
}

// fill writes a piece into its row.
func (l *Loader) fill(b *Batch, q *placed, row int) {
	s := &l.plan.d.parts[q.Source]
	ids := l.ids[:q.N+1]
	s.read(ids, q.At)
	isolate := l.plan.o.Isolate
	at := row*b.Seq + q.column
	segment, position := l.segment[row], int32(0)
	if !isolate {
		segment, position = 0, int32(q.column)
	}
	end := int64(-1) // where the next document begins, as a token of the source
	document := int64(0)
	if isolate && l.plan.by.windows {
		document = s.document(q.At)
		end = s.start(document + 1)
	}
	for i := range q.N {
		k, target := at+i, ids[i+1]
		b.IDs[k], b.Targets[k] = int32(ids[i]&^untrained), int32(target&^untrained)
		b.Segments[k], b.Positions[k] = segment, position
		position++
		border := q.At+int64(i)+1 == end
		if !border && target&untrained == 0 {
			b.Weights[k] = 1
			b.Trained++
		}
		if border {
			segment, position = segment+1, 0
			for document++; s.start(document+1) == end && document+1 < s.foot.Documents; {
				document++ // without tokens
			}
			end = s.start(document + 1)
		}
	}
	b.Used += q.N
	l.segment[row] = segment + 1
}
