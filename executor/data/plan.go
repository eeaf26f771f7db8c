package data

import "math"

// planner decides what is in each batch, by the lengths of documents alone.
type planner struct {
	d   *Dataset
	o   BatchOptions
	by  *arrangement
	pos *Position

	orders []order // by source
	next   draw    // looked at, not yet taken
	known  bool    // next is
	ended  bool    // there is nothing more to draw

	seq   int // of the batch planned
	rows  []placed
	free  []int   // slots left in each row, while packing
	taken []Piece // what one draw gives
}

// placed is a piece in a row.
type placed struct {
	row, column int
	Piece
}

// order is the order of one source's documents or windows.
type order struct {
	units  int64 // how many there are
	epoch  int64 // that turn is of
	turn   permutation
	random bool
	shuffe bool
	key    uint64
}

// draw is what a source gives next.
type draw struct {
	source int
	pieces []Piece // none if the document is left out
	slots  int64   // in pieces
	part   int64   // what Position.Part will be; 0 if the document ends
}

func newPlanner(d *Dataset, o BatchOptions, pos *Position) (*planner, error) {
	p := &planner{d: d, o: o, pos: pos, seq: o.Seq, free: make([]int, o.Batch)}
	for i := range arrangements {
		if arrangements[i].name == o.Rows {
			p.by = &arrangements[i]
		}
	}
	for i := range d.parts {
		units := p.units(i)
		if err := p.fruitful(i, units); err != nil {
			return nil, err
		}
		p.orders = append(p.orders, order{
			units: units, epoch: -1, key: random(uint64(o.Seed), uint64(i)), random: o.Order == "random", shuffe: o.Order == "shuffle",
		})
	}
	return p, nil
}

// units is how many documents (groups of them) or windows a source has.
func (p *planner) units(source int) int64 {
	s := &p.d.parts[source]
	if !p.by.windows {
		return (s.last - s.first) / int64(s.foot.Group)
	}
	if p.o.Order == "random" {
		return s.hi - s.lo - int64(p.o.Seq) // places where a whole window fits
	}
	return (s.hi - s.lo - 1 + int64(p.o.Seq) - 1) / int64(p.o.Seq)
}

// fruitful makes sure that a source gives anything at all.
func (p *planner) fruitful(source int, units int64) error {
	s := &p.d.parts[source]
	if p.by.windows {
		if units < 1 {
			return errorf(s.name, "has %d tokens, a window of %d needs one more than that", s.hi-s.lo, p.o.Seq)
		}
		return nil
	}
	for u := range units {
		if pieces, _ := p.pieces(nil, source, u, 0); len(pieces) > 0 {
			return nil
		}
	}
	if p.o.Long == "skip" {
		return errorf(s.name, "none of its %d documents has two tokens and fits into a row of %d", units, p.o.Seq)
	}
	return errorf(s.name, "none of its %d documents has two tokens", units)
}

// at is the unit that a source gives at a draw.
func (o *order) at(n int64) int64 {
	switch {
	case o.random:
		return below(o.units, o.key, uint64(n))
	case !o.shuffe:
		return n % o.units
	}
	if epoch := n / o.units; epoch != o.epoch {
		o.epoch, o.turn = epoch, newPermutation(o.units, random(o.key, uint64(epoch)))
	}
	return o.turn.at(n % o.units)
}

// pieces appends what a unit gives from its slot part on, and says at which slot the rest of it begins; 0 if it is done.
func (p *planner) pieces(dst []Piece, source int, unit, part int64) ([]Piece, int64) {
	s, seq := &p.d.parts[source], int64(p.o.Seq)
	if p.by.windows {
		at := s.lo + unit
		if p.o.Order != "random" {
			at = s.lo + unit*seq
		}
		return append(dst, Piece{source, at, int(min(seq, s.hi-1-at))}), 0
	}
	before, rest := len(dst), int64(0)
	for g := range int64(s.foot.Group) {
		from, to := s.bounds(s.first + unit*int64(s.foot.Group) + g)
		n := to - from - 1 - part
		if n < 1 || n > seq && p.o.Long == "skip" {
			return dst[:before], 0
		}
		if n > seq && p.o.Long == "split" {
			rest = part + seq
		}
		dst = append(dst, Piece{source, from + part, int(min(n, seq))})
	}
	return dst, rest
}

// source is the one that is furthest behind its share of the predicted tokens, or -1 if all were gone through. Two
// sources differ in tokens by weight by at most the longest document by the least weight.
func (p *planner) source() int {
	best, least := -1, math.Inf(1)
	for i, c := range p.pos.Sources {
		if p.o.Epochs > 0 && c.Draws >= p.orders[i].units*int64(p.o.Epochs) {
			continue
		}
		if x := float64(c.Slots) / p.d.parts[i].weight; x < least {
			best, least = i, x
		}
	}
	return best
}

// peek looks at the next draw that gives anything; false after the last. What gives nothing is passed over.
func (p *planner) peek() (*draw, bool) {
	for !p.known && !p.ended {
		source := p.pos.Open
		if p.pos.Part == 0 {
			if source = p.source(); source < 0 {
				p.ended = true
				break
			}
		}
		unit := p.orders[source].at(p.pos.Sources[source].Draws)
		pieces, rest := p.pieces(p.taken[:0], source, unit, p.pos.Part)
		p.taken = pieces
		p.next = draw{source: source, pieces: pieces, part: rest}
		for _, q := range pieces {
			p.next.slots += int64(q.N)
		}
		if p.known = len(pieces) > 0; !p.known {
			p.advance()
		}
	}
	return &p.next, p.known
}

// take moves the position past what peek saw.
func (p *planner) take() {
	p.known = false
	p.advance()
}

func (p *planner) advance() {
	c := &p.pos.Sources[p.next.source]
	c.Slots += p.next.slots
	p.pos.Open, p.pos.Part = p.next.source, p.next.part
	if p.next.part == 0 {
		c.Draws++
	}
}

// plan decides the next batch; false if there is none.
func (p *planner) plan() bool {
	p.rows = p.rows[:0]
	p.by.plan(p)
	if len(p.rows) == 0 {
		return false
	}
	p.pos.Step++
	return true
}
