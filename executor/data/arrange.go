package data

// arrangement is a way to fill the rows of a batch.
type arrangement struct {
	name    string
	doc     string
	windows bool // it takes the tokens as one stream, not by documents
	// plan fills p.rows and sets p.seq.
	plan func(p *planner)
}

// arrangements is the table of ways to fill rows.
var arrangements = []arrangement{
	{"window", "each row is a stretch of the one stream of all tokens", true, onePerRow},
	{"pad", "each row is one document, and padding", false, onePerRow},
	{"pack", "each row is as many documents as fit", false, pack},
	{"bucket", "each row is one document, and rows are as long as the bucket of their documents", false, bucket},
}

// onePerRow gives each row what one draw gives, and a pair two adjoining rows.
func onePerRow(p *planner) {
	for row := 0; row < p.o.Batch; {
		d, ok := p.peek()
		if !ok {
			return
		}
		for _, q := range d.pieces {
			p.rows = append(p.rows, placed{row, 0, q})
			row++
		}
		p.take()
	}
}

// pack puts each document, in order, into the first row that has room for it, and ends the batch at the first document
// for which none has; that one begins the next batch. So a document is whole in its row unless it is longer than one,
// and nothing but the place in the order is carried from batch to batch.
func pack(p *planner) {
	for i := range p.free {
		p.free[i] = p.o.Seq
	}
	for {
		d, ok := p.peek()
		if !ok {
			return
		}
		q := d.pieces[0]
		row := 0
		for row < len(p.free) && p.free[row] < q.N {
			row++
		}
		if row == len(p.free) {
			return
		}
		p.rows = append(p.rows, placed{row, p.o.Seq - p.free[row], q})
		p.free[row] -= q.N
		p.take()
	}
}

// bucket lets documents wait with others of their length until a batch is full. A pair goes by its longer document. When
// there is nothing more to draw, what waits comes in batches that are not full, the shortest first.
func bucket(p *planner) {
	for {
		d, ok := p.peek()
		if !ok {
			for i, list := range p.pos.Pending {
				if len(list) > 0 {
					p.release(i)
					return
				}
			}
			return
		}
		longest, i := 0, 0
		for _, q := range d.pieces {
			longest = max(longest, q.N)
		}
		for p.o.Buckets[i] < longest {
			i++
		}
		p.pos.Pending[i] = append(p.pos.Pending[i], d.pieces...)
		if p.take(); len(p.pos.Pending[i]) >= p.o.Batch {
			p.release(i)
			return
		}
	}
}

// release makes the batch of what waits in a bucket.
func (p *planner) release(i int) {
	p.seq = p.o.Buckets[i]
	for row, q := range p.pos.Pending[i] {
		p.rows = append(p.rows, placed{row, 0, q})
	}
	p.pos.Pending[i] = p.pos.Pending[i][:0]
}
