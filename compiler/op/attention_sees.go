package op

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// wantSegments checks segments [batch, t], which may be left out.
func wantSegments(segments, key ir.Type) error {
	if segments.DType == ir.Invalid {
		return nil
	}
	if err := first(wantIndex("segments", segments), wantRank("segments", segments, "[batch, t]", 2)); err != nil {
		return err
	}
	if !slices.Equal(segments.Shape, key.Shape[:2]) {
		return fmt.Errorf("segments is %s but key is %s: want one number for each key", ir.ShapeString(segments.Shape), ir.ShapeString(key.Shape))
	}
	return nil
}

// wantLengths checks lengths [batch], which may be left out.
func wantLengths(lengths ir.Type, batch ir.Dim) error {
	if lengths.DType == ir.Invalid {
		return nil
	}
	if err := first(wantIndex("lengths", lengths), wantRank("lengths", lengths, "[batch]", 1)); err != nil {
		return err
	}
	if lengths.Shape[0] != batch {
		return fmt.Errorf("lengths has %v sequences but there are %v", lengths.Shape[0], batch)
	}
	return nil
}

// wantDistances checks a mask that is a table by distance.
func wantDistances(n int, mask, q ir.Type) error {
	if n == 0 {
		return nil
	}
	table := []ir.Dim{q.Shape[0], q.Shape[2], ir.D(1), ir.D(2*n + 1)}
	if n < 0 || !mask.DType.Float() || mask.Rank() == 0 || lastDim(mask) != ir.D(2*n+1) || !repeats(mask.Shape, table) {
		return fmt.Errorf("mask is %v and distances %d: want numbers that repeat to [batch, heads, 1, 2*distances+1] = %s", mask, n, ir.ShapeString(table))
	}
	return nil
}

// byDistance takes for each row and key what a table [..., 1, 2*distances+1]
// holds of the distance between them.
func (g grouping) byDistance(b *Builder, table, past ir.Value) ir.Value {
	n := g.at.Distances
	far := b.Sub(b.Iota(ir.I32, 0, g.keys), g.positions(b, past))
	limit := func(v int) ir.Value { return b.Fill(float64(v), ir.I32) }
	at := b.Add(b.Max(b.Min(far, limit(n)), limit(-n)), limit(n))
	all := []ir.Dim{g.batch, g.groups, g.share, g.seq}
	return b.TakeAlong(b.Broadcast(table, append(all[:4:4], ir.D(2*n+1))...), b.Broadcast(at, append(all, g.keys)...), -1)
}

// Slopes are the factors of the distance between a row and a key, by head: the
// powers 1 to heads of 2^(-bias/heads). Of heads that are no power of two, the
// first are those of the power below, and the others every second one of the
// power above.
//
// Source: arXiv:2108.12409, and the code that its authors give for the second case.
func Slopes(heads int, bias float64) []float64 {
	out := make([]float64, heads)
	whole := 1 // the greatest power of two that is at most heads
	for 2*whole <= heads {
		whole *= 2
	}
	for h := range out {
		power := float64(h+1) / float64(whole)
		if h >= whole {
			power = float64(2*(h-whole)+1) / float64(2*whole)
		}
		out[h] = math.Exp2(-bias * power)
	}
	return out
}

// distances are the slopes of heads times how far keys are from rows, in a
// shape that repeats to that of the scores.
func (g grouping) distances(b *Builder, past ir.Value) ir.Value {
	one := ir.D(1)
	far := b.Abs(b.Sub(g.positions(b, past), b.Iota(ir.I32, 0, g.keys)))
	var slopes []byte
	for _, v := range Slopes(g.groups.N*g.share.N, g.at.ALiBi) {
		slopes = binary.LittleEndian.AppendUint32(slopes, math.Float32bits(float32(v)))
	}
	shape := []ir.Dim{one, g.groups, g.share, one, one}
	slope := b.one("constant", ConstantAttr{DType: ir.F32.String(), Shape: MakeDims(shape...), Data: string(slopes)})
	return b.Mul(b.Cast(far, g.dtype), b.Cast(slope, g.dtype))
}

// positions are those of the rows: [seq, 1], or [batch, 1, 1, seq, 1] if
// sequences have a past.
func (g grouping) positions(b *Builder, past ir.Value) ir.Value {
	p := b.Iota(ir.I32, 0, g.seq, ir.D(1))
	if past.Valid() {
		one := ir.D(1)
		p = b.Add(p, b.Reshape(b.Cast(past, ir.I32), g.batch, one, one, one, one))
	}
	return p
}

// visible says which keys each row sees, in a shape that repeats to that of
// the scores; no value, if all.
func (g grouping) visible(b *Builder, in []ir.Value) ir.Value {
	var ok ir.Value
	also := func(more ir.Value) {
		if ok.Valid() {
			more = b.And(ok, more)
		}
		ok = more
	}
	key, one := b.Iota(ir.I32, 0, g.keys), ir.D(1)
	if g.at.Causal {
		position := g.positions(b, in[4])
		also(b.Le(key, position))
		if g.at.Window > 0 {
			also(b.Gt(key, b.Sub(position, b.Fill(float64(g.at.Window), ir.I32))))
		}
	}
	if segments := in[5]; segments.Valid() {
		segments = b.Cast(segments, ir.I32)
		also(b.Eq(b.Reshape(g.ofRows(b, segments, in[4]), g.batch, one, one, g.seq, one), b.Reshape(segments, g.batch, one, one, one, g.keys)))
	}
	if lengths := in[6]; lengths.Valid() {
		also(b.Lt(key, b.Reshape(b.Cast(lengths, ir.I32), g.batch, one, one, one, one)))
	}
	return ok
}

// ofRows are the documents of the rows; a row beyond the last key counts as
// that one.
func (g grouping) ofRows(b *Builder, segments, past ir.Value) ir.Value {
	if !past.Valid() && g.seq == g.keys {
		return segments
	}
	at := b.Iota(ir.I32, 1, g.batch, g.seq)
	if past.Valid() {
		at = b.Add(at, b.Reshape(b.Cast(past, ir.I32), g.batch, ir.D(1)))
	}
	last := b.Sub(b.Count(at, g.keys), b.Fill(1, ir.I32))
	return b.TakeAlong(segments, b.Min(at, last), 1)
}

// groupedMask splits the heads of a mask into groups.
func (b *Builder) groupedMask(mask ir.Value, groups, share ir.Dim) ir.Value {
	if b.err != nil || mask.Type().Rank() < 3 {
		return mask
	}
	shape := mask.Type().Shape
	i := len(shape) - 3
	split := []ir.Dim{groups, share}
	if shape[i] == ir.D(1) {
		split = []ir.Dim{ir.D(1), ir.D(1)}
	}
	return b.Reshape(mask, slices.Concat(shape[:i], split, shape[i+1:])...)
}

// seen is softmax along the last axis, but 0 where all scores are hidden:
// exponentials are taken from a maximum that hidden scores do not reach. lse is
// the logarithm of the sum of exponentials.
func (b *Builder) seen(s ir.Value) (weights, lse ir.Value) {
	m := b.Max(b.ReduceMax(s, true, -1), b.Scalar(lowest/10, s))
	e := b.Exp(b.Sub(s, m))
	sum := b.Max(b.Sum(e, true, -1), b.Scalar(-1/lowest, s))
	return b.Div(e, sum), b.Add(m, b.Log(sum))
}
