package data

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// Position says where in its data a Loader stands. As JSON it goes into a checkpoint. The zero value is the beginning.
type Position struct {
	Step    int64     `json:"step"`              // batches given
	Sources []Cursor  `json:"sources,omitempty"` // of each source
	Open    int       `json:"open"`              // the source whose document was given in part
	Part    int64     `json:"part"`              // how many tokens of it were; 0 if there is none
	Pending [][]Piece `json:"pending,omitempty"` // what waits for more of its length, by bucket
	Key     string    `json:"key"`               // of the data and the options
}

// Cursor says how far one source is.
type Cursor struct {
	Draws int64 `json:"draws"` // documents or windows taken
	Slots int64 `json:"slots"` // tokens predicted by them
}

// Piece is a stretch of tokens of a source: At to At+N-1 are the inputs, At+1 to At+N the targets.
type Piece struct {
	Source int   `json:"source"`
	At     int64 `json:"at"`
	N      int   `json:"n"`
}

// copyTo copies p, into the memory that to has.
func (p *Position) copyTo(to *Position) {
	sources, pending := to.Sources, to.Pending
	*to = *p
	to.Sources = append(sources[:0], p.Sources...)
	if len(pending) != len(p.Pending) {
		pending = make([][]Piece, len(p.Pending))
	}
	for i, list := range p.Pending {
		if pending[i] = append(pending[i][:0], list...); pending[i] == nil {
			pending[i] = []Piece{} // as JSON has it
		}
	}
	to.Pending = pending
}

// start makes the position from which batches go on: the given one, if it belongs to this data and these options.
func (d *Dataset) start(o *BatchOptions, from Position) (*Position, error) {
	key := d.key(o)
	p := &Position{}
	from.copyTo(p)
	if from.Key == "" && from.Step == 0 && len(from.Sources) == 0 {
		p.Key, p.Sources = key, make([]Cursor, len(d.parts))
		if o.Rows == "bucket" {
			p.Pending = make([][]Piece, len(o.Buckets))
		}
		return p, nil
	}
	if from.Key != key {
		return nil, errorf(d.Name(), "the position after %d batches belongs to other data or options: its key is %.12q, theirs is %.12s", from.Step, from.Key, key)
	}
	if err := d.inside(o, p); err != nil {
		return nil, errorf(d.Name(), "the position after %d batches is damaged: %v", from.Step, err)
	}
	return p, nil
}

// inside reports a position that could not have come from a Loader.
func (d *Dataset) inside(o *BatchOptions, p *Position) error {
	buckets := 0
	if o.Rows == "bucket" {
		buckets = len(o.Buckets)
	}
	switch {
	case p.Step < 0 || p.Part < 0:
		return fmt.Errorf("step %d, part %d", p.Step, p.Part)
	case len(p.Sources) != len(d.parts):
		return fmt.Errorf("it has %d sources, the data %d", len(p.Sources), len(d.parts))
	case p.Open < 0 || p.Open >= len(d.parts):
		return fmt.Errorf("source %d of %d is open", p.Open, len(d.parts))
	case len(p.Pending) != buckets:
		return fmt.Errorf("it has %d buckets, the options %d", len(p.Pending), buckets)
	}
	for i, c := range p.Sources {
		if c.Draws < 0 || c.Slots < 0 {
			return fmt.Errorf("source %d is at draw %d, token %d", i, c.Draws, c.Slots)
		}
	}
	for i, list := range p.Pending {
		for _, q := range list {
			if q.Source < 0 || q.Source >= len(d.parts) || q.N < 1 || q.N > o.Buckets[i] ||
				q.At < d.parts[q.Source].lo || q.At+int64(q.N) >= d.parts[q.Source].hi {
				return fmt.Errorf("tokens %d to %d of source %d wait in bucket %d", q.At, q.At+int64(q.N), q.Source, i)
			}
		}
	}
	return nil
}

// key is a hash of what batches depend on.
func (d *Dataset) key(o *BatchOptions) string {
	of := []any{o.Batch, o.Seq, o.Order, o.Rows, slices.Clone(o.Buckets), o.Long, o.Isolate, o.Seed, o.Epochs, o.Pad}
	for _, p := range d.parts {
		of = append(of, p.foot.Key, p.lo, p.hi, p.first, p.last, p.weight)
	}
	text, err := json.Marshal(of)
	if err != nil {
		panic(err) // numbers and strings
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
