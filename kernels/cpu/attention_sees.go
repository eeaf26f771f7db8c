package cpu

import (
	"math"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// documents are the numbers of the documents that keys belong to, and where
// each document begins and ends. A row of keys in which a number comes again
// after others is mixed: its documents are taken key by key.
type documents struct {
	of         *indices
	keys       int
	start, end []int32 // [batch, keys]
	mixed      []int32 // [batch], 0 or 1
}

func (d *documents) there() bool { return d.of != nil }

// documentBytes is the scratch that documents need.
func documentBytes(segments ir.Type) int64 {
	if segments.DType == ir.Invalid {
		return 0
	}
	t := segments.Sizes()
	return 4 * int64(t[0]) * int64(2*t[1]+1)
}

// documentFloats is documentBytes in floats.
func documentFloats(segments kernels.Tensor) int {
	return int(documentBytes(ir.T(segments.DType, segments.Shape...)) / 4)
}

// limits reads what is optional among the inputs of attention.
func (s *attending) limits(in []kernels.Tensor, vs []vec) {
	if vs[6].there() {
		s.lengths = &indices{vec: vs[6]}
	}
	if s.at.ALiBi > 0 {
		s.ramp = make([]float32, s.block)
		for i := range s.ramp {
			s.ramp[i] = float32(i)
		}
		for _, v := range op.Slopes(s.heads, s.at.ALiBi) {
			s.slopes = append(s.slopes, float32(v))
		}
	}
	if vs[5].there() {
		s.segments = documents{of: &indices{vec: vs[5]}, keys: s.keys}
	}
}

// withDocuments returns step after one that looks for documents, if there are
// any; room is what documentBytes asked for.
func (s *attending) withDocuments(room []float32, step kernels.Step) kernels.Step {
	d := &s.segments
	if !d.there() || len(room) == 0 {
		return step
	}
	ints := unsafe.Slice((*int32)(unsafe.Pointer(&room[0])), s.batch*(2*s.keys+1))
	n := s.batch * s.keys
	d.start, d.end, d.mixed = ints[:n], ints[n:2*n], ints[2*n:]
	return sequence(s.b.step(s.batch, func(_, z int) { d.find(z) }), step)
}

// find looks for the documents of a sequence.
func (d *documents) find(z int) {
	start, end := d.start[z*d.keys:(z+1)*d.keys], d.end[z*d.keys:(z+1)*d.keys]
	ordered := true
	for j := 0; j < d.keys; {
		n := j + 1
		for n < d.keys && d.of.get(z*d.keys+n) == d.of.get(z*d.keys+j) {
			n++
		}
		ordered = ordered && (j == 0 || d.of.get(z*d.keys+j-1) < d.of.get(z*d.keys+j))
		for i := j; i < n; i++ {
			start[i], end[i] = int32(j), int32(n)
		}
		j = n
	}
	d.mixed[z] = 0
	if ordered || !d.again(z, start, end) {
		return
	}
	d.mixed[z] = 1
	for i := range start {
		start[i], end[i] = 0, int32(d.keys)
	}
}

// again reports whether two runs of keys have the same number.
func (d *documents) again(z int, start, end []int32) bool {
	for j := 0; j < d.keys; j = int(end[j]) {
		for i := int(end[j]); i < d.keys; i = int(end[i]) {
			if d.of.get(z*d.keys+i) == d.of.get(z*d.keys+j) {
				return true
			}
		}
	}
	return false
}

// own is the key whose document row r belongs to.
func (s *attending) own(z, r int) int { return min(s.past.of(z)+r/s.share, s.keys-1) }

// visible returns the range of keys that row r of a sequence may see.
func (s *attending) visible(z, r int) (lo, hi int) {
	hi = s.keys
	if s.lengths != nil {
		hi = max(0, min(hi, s.lengths.get(z)))
	}
	if s.at.Causal {
		position := s.past.of(z) + r/s.share
		hi = max(0, min(hi, position+1))
		if s.at.Window > 0 {
			lo = max(0, position-s.at.Window+1)
		}
	}
	if s.segments.there() && s.keys > 0 {
		i := z*s.keys + s.own(z, r)
		lo, hi = max(lo, int(s.segments.start[i])), min(hi, int(s.segments.end[i]))
	}
	return min(lo, hi), hi
}

// addDistances adds to the scores of row r what the table holds of the
// distances of the keys from j on.
func (s *attending) addDistances(buf, p []float32, z, group, r, j int) {
	n, st := s.at.Distances, s.maskStrides
	table := z*st[0] + (group*s.share+r%s.share)*st[1]
	first := j - s.past.of(z) - r/s.share + n // the place of the first key in the table
	from := min(max(0, -first), len(p))
	to := max(from, min(len(p), 2*n+1-first))
	if from > 0 {
		s.b.asm.AddS(p[:from], p[:from], s.mask.one(table))
	}
	if from < to {
		s.b.asm.Add(p[from:to], p[from:to], s.mask.tile(buf, table+first+from, to-from))
	}
	if to < len(p) {
		s.b.asm.AddS(p[to:], p[to:], s.mask.one(table+2*n))
	}
}

// scores turns products of row r with the keys from j on into scores.
func (s *attending) scores(buf, p []float32, z, group, r, j int) {
	if s.softcap > 0 {
		s.b.asm.DivS(p, p, s.softcap)
		s.b.asm.Tanh(p, p)
		s.b.asm.MulS(p, p, s.softcap)
	}
	if s.at.Distances > 0 {
		s.addDistances(buf, p, z, group, r, j)
	} else if st := s.maskStrides; st != nil {
		at := z*st[0] + (group*s.share+r%s.share)*st[1] + r/s.share*st[2] + j*st[3]
		if st[3] == 1 {
			s.b.asm.Add(p, p, s.mask.tile(buf, at, len(p)))
		} else {
			s.b.asm.AddS(p, p, s.mask.one(at))
		}
	}
	if s.slopes != nil {
		far := buf[:len(p)]
		s.b.asm.AddS(far, s.ramp, float32(j-s.past.of(z)-r/s.share))
		s.b.asm.Abs(far, far)
		s.b.asm.MulS(far, far, s.slopes[group*s.share+r%s.share])
		s.b.asm.Sub(p, p, far)
	}
	if d := &s.segments; d.there() && d.mixed[z] != 0 {
		own := d.of.get(z*s.keys + s.own(z, r))
		for i := range p {
			if d.of.get(z*s.keys+j+i) != own {
				p[i] = float32(math.Inf(-1))
			}
		}
	}
}
