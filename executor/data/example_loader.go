package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"

	"pipe.dev/compiler/ir"
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
// of the batch it is given.
type ExampleLoader struct {
	e      *Examples
	o      BatchOptions
	random []Random
	pos    Position
	order  permutation
	epoch  int64 // that order belongs to
}

// Batches makes a loader that begins at a position: the zero Position, or one
// of a loader of the same examples and options. A batch that has no full number
// of rows is given only at the end of the last epoch, if part is set.
func (e *Examples) Batches(o BatchOptions, random []Random, from Position) (*ExampleLoader, error) {
	key, err := json.Marshal([]any{e.Identity(), o.Batch, o.Order, o.Seed, o.Epochs, random})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(key)
	l := &ExampleLoader{e: e, o: o, random: random, epoch: -1, pos: Position{Key: hex.EncodeToString(sum[:])}}
	if from.Key != "" {
		if from.Key != l.pos.Key || from.Step < 0 {
			return nil, fmt.Errorf("the position after %d batches belongs to other data or options", from.Step)
		}
		l.pos.Step = from.Step
	}
	if o.Epochs > 0 && e.Len()*o.Epochs < 1 {
		return nil, errorf(e.name, "has no example")
	}
	return l, nil
}

// Count is how many batches there are, at most most; the last may be in part.
func (l *ExampleLoader) Count(most int64) int64 {
	if l.o.Epochs == 0 {
		return most
	}
	n := int64(l.e.Len()) * int64(l.o.Epochs)
	return min(most, (n+int64(l.o.Batch)-1)/int64(l.o.Batch))
}

// Next fills dst with the next batch; io.EOF after the last.
func (l *ExampleLoader) Next(dst *Batch) error {
	n := int64(l.e.Len())
	first, rows := l.pos.Step*int64(l.o.Batch), l.o.Batch
	if l.o.Epochs > 0 {
		if left := n*int64(l.o.Epochs) - first; left <= 0 {
			return io.EOF
		} else if left < int64(rows) {
			rows = int(left)
		}
	}
	dst.Rows, dst.Seq, dst.Used, dst.Trained = rows, l.o.Seq, rows, rows
	if dst.Values == nil {
		dst.Values = map[string][]byte{}
	}
	for i, f := range l.e.fields {
		data := dst.Values[f.Name][:0]
		for row := range rows {
			at := l.at(first+int64(row), n) * f.Width
			for k := range f.Width {
				if f.DType == ir.I32 {
					data = binary.LittleEndian.AppendUint32(data, uint32(l.e.ints[i][at+k]))
				} else {
					data = binary.LittleEndian.AppendUint32(data, math.Float32bits(l.e.floats[i][at+k]))
				}
			}
		}
		dst.Values[f.Name] = data
	}
	for _, r := range l.random {
		dst.Values[r.Name] = l.draw(dst.Values[r.Name][:0], r, rows)
	}
	l.pos.Step++
	return nil
}

// at is the example that is the i-th of all epochs.
func (l *ExampleLoader) at(i, n int64) int {
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
	return l.e.lo + int(place)
}

// draw appends the random numbers of a batch.
func (l *ExampleLoader) draw(data []byte, r Random, rows int) []byte {
	h := fnv.New64a()
	h.Write([]byte(r.Name))
	seed := mix(uint64(l.o.Seed)) ^ h.Sum64()
	first := uint64(l.pos.Step) * uint64(l.o.Batch*r.Width)
	for i := range uint64(rows * r.Width) {
		var x float64
		switch r.Kind {
		case "normal":
			x = philox.Normal(seed, first+i)
		case "uniform":
			x = r.Low + (r.High-r.Low)*philox.Uniform(seed, first+i)
		case "integer":
			x = math.Floor(r.Low + (r.High-r.Low)*philox.Uniform(seed, first+i))
		}
		if r.DType == ir.I32 {
			data = binary.LittleEndian.AppendUint32(data, uint32(int32(x)))
		} else {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
		}
	}
	return data
}

// Position is where the loader stands: after the last batch that Next gave.
func (l *ExampleLoader) Position() Position { return l.pos }

// Close ends the loader.
func (l *ExampleLoader) Close() {}
