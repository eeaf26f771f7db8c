package quantize

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
)

// part is about how many weights a thread takes at a time.
const part = 1 << 16

// write writes a tensor, and says what it lost.
func (j *job) write(w io.Writer, it *item, t *Tensor) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	read, done, err := it.open()
	if err != nil {
		return err
	}
	defer done()
	row := it.row()
	rows := it.elems() / max(1, row)
	each := max(1, part/max(1, row))
	parts := int((rows + each - 1) / each)
	out := make([]byte, t.Bytes)
	size := t.Bytes / max(1, rows)
	losses := make([]loss, parts)
	var raw []byte // what is in blocks of this type already
	if dtypeOf(t.Type) == ir.Invalid && it.from == t.Type {
		if raw, err = it.raw(); err != nil {
			return err
		}
	}
	err = j.parallel(parts, func(p int) error {
		first := int64(p) * each
		n := min(each, rows-first)
		x := make([]float32, n*row)
		for r := range n {
			if err := read(x[r*row:(r+1)*row], it.sourceRow(first+r, rows)); err != nil {
				return err
			}
		}
		to := out[first*size : (first+n)*size]
		if raw == nil {
			var err error
			losses[p], err = encode(t.Type, to, x)
			return err
		}
		for r := range n {
			copy(to[r*size:(r+1)*size], raw[it.sourceRow(first+r, rows)*size:])
		}
		for _, v := range x {
			losses[p].total += float64(float64(v) * float64(v))
		}
		return nil
	})
	if err != nil {
		return checkpoint.FileError(it.name, err)
	}
	var l loss
	for _, x := range losses {
		l.squares, l.total, l.greatest = l.squares+x.squares, l.total+x.total, max(l.greatest, x.greatest)
	}
	t.Relative, t.Greatest = relative(l.squares, l.total), l.greatest
	j.squares, j.total = j.squares+l.squares, j.total+l.total
	if _, err := w.Write(out); err != nil {
		return err
	}
	j.done += it.elems()
	if j.o.Progress != nil {
		j.o.Progress(j.done, j.all)
	}
	return nil
}

// parallel runs parts on the threads; the error is that of the first part that
// has one.
func (j *job) parallel(parts int, run func(part int) error) error {
	errs := make([]error, parts)
	var next atomic.Int64
	var failed atomic.Bool
	var wait sync.WaitGroup
	for range min(j.o.Threads, parts) {
		wait.Go(func() {
			for {
				p := int(next.Add(1)) - 1
				if p >= parts || failed.Load() || j.ctx.Err() != nil {
					return
				}
				if errs[p] = run(p); errs[p] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return j.ctx.Err()
}

// sourceRow is the row of the model that row r of the file is.
func (it *item) sourceRow(r, rows int64) int64 {
	if it.heads == 0 {
		return r
	}
	size := rows / int64(it.heads)
	head, at := r/size, r%size
	return head*size + at%2*(size/2) + at/2
}

// loss is what a part of a tensor lost.
type loss struct{ squares, total, greatest float64 }

func relative(squares, total float64) float64 {
	if squares == 0 {
		return 0
	}
	return math.Sqrt(squares / total)
}

// encode writes x as a type, and says what is lost.
func encode(kind string, dst []byte, x []float32) (l loss, err error) {
	var back func(i int) float32
	switch dtypeOf(kind) {
	case ir.F32:
		for i, v := range x {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
		back = func(i int) float32 { return x[i] }
	case ir.F16:
		for i, v := range x {
			binary.LittleEndian.PutUint16(dst[2*i:], half.F32ToF16(v))
		}
		back = func(i int) float32 { return half.F16ToF32(binary.LittleEndian.Uint16(dst[2*i:])) }
	case ir.BF16:
		for i, v := range x {
			binary.LittleEndian.PutUint16(dst[2*i:], half.F32ToBF16(v))
		}
		back = func(i int) float32 { return half.BF16ToF32(binary.LittleEndian.Uint16(dst[2*i:])) }
	default:
		f, err := quant.Lookup(kind)
		if err != nil {
			return l, err
		}
		if err := f.Encode(dst, x); err != nil {
			return l, err
		}
		y := make([]float32, len(x))
		if err := f.Decode(y, dst); err != nil {
			return l, err
		}
		back = func(i int) float32 { return y[i] }
	}
	for i, v := range x {
		e := math.Abs(float64(back(i)) - float64(v))
		if math.IsNaN(e) || math.IsInf(e, 0) {
			return l, fmt.Errorf("weight %g can't be written as %s", v, kind)
		}
		l.squares += float64(e * e)
		l.total += float64(float64(v) * float64(v))
		l.greatest = max(l.greatest, e)
	}
	return l, nil
}
