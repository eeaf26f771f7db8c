package data

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/image"
	"pipe.dev/internal/philox"
)

// RandomAttr describes an input of random numbers, drawn anew for each batch:
// they depend on the seed, the input's name and the number of the batch alone.
type RandomAttr struct {
	Kind string  `cue:"kind: \"uniform\" | \"integer\" | *\"normal\"" doc:"the distribution: normal with mean 0 and deviation 1, uniform from low to high, whole numbers from low to below high"`
	Low  float64 `cue:"low: number | *0" doc:"the least number; no part of normal"`
	High float64 `cue:"high: number | *1" doc:"the bound above; no part of normal"`
}

// Random is a field of random numbers.
type Random struct {
	Field
	RandomAttr
}

// ExampleLoader gives batches of examples, one after the other, in the memory
// of the batch it is given. Pictures are decoded ahead, by several goroutines.
type ExampleLoader struct {
	e       *Examples
	o       BatchOptions
	random  []Random
	pos     Position // after the last batch given
	planned Position // after the last that was planned
	order   permutation
	epoch   int64 // that order belongs to
	ahead   *ahead
}

// Batches makes a loader that begins at a position: the zero Position, or one
// of a loader of the same examples and options. A batch that has no full number
// of rows is given only at the end of the last epoch.
func (e *Examples) Batches(o BatchOptions, random []Random, from Position) (*ExampleLoader, error) {
	of := []any{e.Identity(), o.Batch, o.Order, o.Seed, o.Epochs, random}
	for _, f := range e.fields {
		if in := f.Images; in != nil {
			of = append(of, in.ImagesAttr, in.Train.Key(), in.Eval.Key(), in.Buckets, o.Mix)
		}
		if in := f.Sound; in != nil {
			of = append(of, in.SoundsAttr, in.Train.Key(), in.Eval.Key())
		}
	}
	key, err := json.Marshal(of)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(key)
	l := &ExampleLoader{e: e, o: o, random: random, epoch: -1, pos: Position{Key: hex.EncodeToString(sum[:])}}
	if len(e.sizes) > 0 {
		l.pos.Sources, l.pos.Pending = make([]Cursor, 1), make([][]Piece, len(e.sizes))
	}
	if from.Key != "" {
		if from.Key != l.pos.Key || from.Step < 0 {
			return nil, fmt.Errorf("the position after %d batches belongs to other data or options", from.Step)
		}
		if err := l.inside(&from); err != nil {
			return nil, errorf(e.name, "the position after %d batches is damaged: %v", from.Step, err)
		}
		from.copyTo(&l.pos)
	}
	l.pos.copyTo(&l.planned)
	if o.Epochs > 0 && e.Len()*o.Epochs < 1 {
		return nil, errorf(e.name, "has no example")
	}
	return l, nil
}

// inside reports a position that could not have come from a loader.
func (l *ExampleLoader) inside(p *Position) error {
	if len(p.Sources) != len(l.pos.Sources) || len(p.Pending) != len(l.pos.Pending) {
		return fmt.Errorf("it has %d buckets, the data %d", len(p.Pending), len(l.pos.Pending))
	}
	for i, list := range p.Pending {
		for _, q := range list {
			if q.At < 0 || q.At >= p.Sources[0].Draws || l.e.bucketOf(l.at(q.At)) != i {
				return fmt.Errorf("example %d waits in bucket %d", q.At, i)
			}
		}
	}
	return nil
}

// Count is how many batches there are, at most most; the last may be in part.
func (l *ExampleLoader) Count(most int64) int64 {
	if l.o.Epochs == 0 {
		return most
	}
	if len(l.e.sizes) > 0 {
		return int64(len(l.Shapes(most)))
	}
	n := int64(l.e.Len()) * int64(l.o.Epochs)
	return min(most, (n+int64(l.o.Batch)-1)/int64(l.o.Batch))
}

// Shapes are those of the batches to come, at most so many of them.
func (l *ExampleLoader) Shapes(most int64) (list []Shape) {
	c := &ExampleLoader{e: l.e, o: l.o, epoch: -1}
	l.pos.copyTo(&c.planned)
	var b planned
	for int64(len(list)) < most && c.plan(&b) {
		list = append(list, Shape{b.bucket, len(b.draws)})
	}
	return list
}

// planned is what a batch holds: numbers of draws, of all epochs.
type planned struct {
	step   int64 // batches before it
	draws  []int64
	bucket int
	after  Position
}

// plan decides the next batch; false after the last.
func (l *ExampleLoader) plan(b *planned) bool {
	b.draws, b.bucket, b.step = b.draws[:0], 0, l.planned.Step
	all := int64(math.MaxInt64)
	if l.o.Epochs > 0 {
		all = int64(l.e.Len()) * int64(l.o.Epochs)
	}
	if len(l.e.sizes) > 0 {
		if !l.fromBucket(b, all) {
			return false
		}
	} else {
		first := l.planned.Step * int64(l.o.Batch)
		for i := first; i < min(all, first+int64(l.o.Batch)); i++ {
			b.draws = append(b.draws, i)
		}
	}
	if len(b.draws) == 0 {
		return false
	}
	l.planned.Step++
	l.planned.copyTo(&b.after)
	return true
}

// fromBucket lets pictures wait with others of their size until a batch is full. When there are no more, what waits comes in batches that
// are not full.
func (l *ExampleLoader) fromBucket(b *planned, all int64) bool {
	give := func(i int) bool {
		for _, q := range l.planned.Pending[i] {
			b.draws = append(b.draws, q.At)
		}
		b.bucket, l.planned.Pending[i] = i, l.planned.Pending[i][:0]
		return true
	}
	for at := &l.planned.Sources[0].Draws; *at < all; {
		i := l.e.bucketOf(l.at(*at))
		l.planned.Pending[i] = append(l.planned.Pending[i], Piece{At: *at, N: 1})
		if *at++; len(l.planned.Pending[i]) == l.o.Batch {
			return give(i)
		}
	}
	if i := slices.IndexFunc(l.planned.Pending, func(list []Piece) bool { return len(list) > 0 }); i >= 0 {
		return give(i)
	}
	return false
}

// Next fills dst with the next batch; io.EOF after the last.
func (l *ExampleLoader) Next(dst *Batch) error {
	if l.e.ofFiles() && !l.o.Blank {
		return l.nextDecoded(dst)
	}
	var b planned
	if !l.plan(&b) {
		return io.EOF
	}
	l.reset(dst, &b)
	for row := range b.draws {
		if err := l.row(dst, &b, row, l.at(b.draws[row])); err != nil {
			return err
		}
	}
	b.after.copyTo(&l.pos)
	return nil
}

// reset makes room for a batch, and draws its random numbers.
func (l *ExampleLoader) reset(dst *Batch, b *planned) {
	rows := len(b.draws)
	dst.Rows, dst.Seq, dst.Used, dst.Trained = rows, l.o.Seq, rows, rows
	dst.Bucket, dst.Step, dst.Draws = b.bucket, b.step, append(dst.Draws[:0], b.draws...)
	if dst.Values == nil {
		dst.Values = map[string][]byte{}
	}
	for i := range l.e.fields {
		f := &l.e.fields[i]
		dst.Values[f.Name] = slices.Grow(dst.Values[f.Name][:0], 4*rows*l.e.width(i, b.bucket))[:4*rows*l.e.width(i, b.bucket)]
	}
	for _, r := range l.random {
		dst.Values[r.Name] = l.draw(dst.Values[r.Name][:0], r, rows, b.step)
	}
}

// row fills a row of a batch with an example.
func (l *ExampleLoader) row(dst *Batch, b *planned, row, example int) error {
	d := lot{uint64(l.o.Seed), uint64(b.draws[row]), l.o.Evaluate}
	var shown *shownPicture
	heard := 0
	for i := range l.e.fields {
		f := &l.e.fields[i]
		n := 4 * l.e.width(i, b.bucket)
		to := dst.Values[f.Name][row*n : (row+1)*n]
		switch {
		case f.Images != nil && !l.o.Blank:
			p := &l.e.pictures[i][example]
			m, err := f.frame(p, l.e.sizeOf(i, b.bucket), d)
			if err != nil {
				return err
			}
			if err := f.Images.numbers(to, m); err != nil {
				return err
			}
			if shown == nil {
				shown = &shownPicture{p, m}
			}
		case f.Sound != nil && !l.o.Blank:
			n, err := f.sound(to, &l.e.pictures[i][example], d)
			if err != nil {
				return err
			}
			heard = n
		case f.ofFile():
			clear(to)
		case l.e.cuts[i] != nil:
		case f.DType == ir.I32:
			values := l.e.ints[i][example*f.Width : (example+1)*f.Width]
			if f.Drop > 0 && !d.evaluate && image.NewDice(d.seed, "drop "+f.Name, d.item).Float() < f.Drop {
				values = f.Empty
			}
			putInts(to, values)
		case l.e.floats[i] == nil: // that are still to be computed
			clear(to)
		default:
			put(to, l.e.floats[i][example*f.Width:(example+1)*f.Width])
		}
	}
	for i := range l.e.fields {
		f := &l.e.fields[i]
		if l.e.cuts[i] == nil {
			continue
		}
		if to := dst.Values[f.Name][4*row*f.Width : 4*(row+1)*f.Width]; l.e.cuts[i][0] == samplesColumn {
			f.putNumber(to, heard)
		} else if shown == nil {
			clear(to)
		} else {
			f.cuts(to, l.e.cuts[i], shown.from, shown.frame)
		}
	}
	return nil
}

// at is the example that is the i-th of all epochs.
func (l *ExampleLoader) at(i int64) int {
	n := int64(l.e.Len())
	place := i % n
	switch l.o.Order {
	case "shuffle":
		if epoch := i / n; epoch != l.epoch {
			l.order, l.epoch = newPermutation(n, random(uint64(l.o.Seed), uint64(epoch))), epoch
		}
		place = l.order.at(place)
	case "random":
		place = below(n, uint64(l.o.Seed), uint64(i))
	}
	return l.e.example(l.e.lo + int(place))
}

// draw appends the random numbers of a batch.
func (l *ExampleLoader) draw(data []byte, r Random, rows int, step int64) []byte {
	h := fnv.New64a()
	h.Write([]byte(r.Name))
	seed := mix(uint64(l.o.Seed)) ^ h.Sum64()
	first := uint64(step) * uint64(l.o.Batch*r.Width)
	data = slices.Grow(data, 4*rows*r.Width)[:4*rows*r.Width]
	for i := range rows * r.Width {
		var x float64
		switch at := first + uint64(i); r.Kind {
		case "normal":
			x = philox.Normal(seed, at)
		case "uniform":
			x = r.Low + (r.High-r.Low)*philox.Uniform(seed, at)
		case "integer":
			x = math.Floor(r.Low + (r.High-r.Low)*philox.Uniform(seed, at))
		}
		if r.DType == ir.I32 {
			putInts(data[4*i:], []int32{int32(x)})
		} else {
			put(data[4*i:], []float32{float32(x)})
		}
	}
	return data
}

// Position is where the loader stands: after the last batch that Next gave.
func (l *ExampleLoader) Position() Position {
	var p Position
	l.pos.copyTo(&p)
	return p
}

// Close ends the loader and its goroutines.
func (l *ExampleLoader) Close() {
	if l.ahead != nil {
		l.ahead.close()
		l.ahead = nil
	}
}
