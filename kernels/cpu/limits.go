package cpu

import (
	"context"
	"errors"
	"math"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// How limits are measured.
const (
	limitBytes = 256 << 20              // of each of the three arrays, far beyond the caches
	limitTime  = 300 * time.Millisecond // for each; the quickest run counts, since what disturbs only makes slower
	fmaParts   = 16                     // of a run for each thread, so that none waits long for another
	fmaCalls   = 1 << 18                // rounds of multiply-adds of a part, about 0.5 ms
	fmaChains  = 10                     // independent multiply-adds of a call: they take longer than they begin apart
)

// Limits measures the machine with the threads of b and the best instruction
// set that it has kernels for, whatever b's own is: multiply-adds that wait
// for nothing, and reading, copying and STREAM's triad (two arrays read, one
// written) over arrays far larger than the caches, written past them.
func (b *Backend) Limits(ctx context.Context) (l kernels.Limits, err error) {
	best, err := findTier("")
	if err != nil {
		return l, err
	}
	l = kernels.Limits{Threads: b.Threads(), With: best.name}
	k := best.kernels()
	var x [3][]float32
	for i := range x {
		buf, err := b.Alloc(limitBytes)
		if err != nil {
			return l, err
		}
		defer func() { err = errors.Join(err, buf.Free()) }()
		v, err := b.view(kernels.Tensor{Buffer: buf, DType: ir.F32, Shape: []int{limitBytes / 4}})
		if err != nil {
			return l, err
		}
		x[i] = slice[float32](v)
	}
	each := func(f func(lo, hi int)) error {
		n := len(x[0])
		b.pool.Run(parts(n, limitPart), func(_, id int) { f(span(id, n, limitPart)) })
		return ctx.Err()
	}
	// Pages that nothing was written to may all be the same one.
	if err := each(func(lo, hi int) { k.Fill(x[0][lo:hi], 1) }); err != nil {
		return l, err
	}
	adds := func(f func(n int)) func() error {
		return func() error {
			b.pool.Run(l.Threads*fmaParts, func(int, int) { f(fmaCalls) })
			return ctx.Err()
		}
	}
	fmas := float64(l.Threads*fmaParts) * fmaCalls * fmaChains * 2 // by lane
	list := []measured{
		{&l.Read, limitBytes, func() error { return each(func(lo, hi int) { k.Greatest(x[0][lo:hi]) }) }},
		{&l.Copy, 2 * limitBytes, func() error {
			return each(func(lo, hi int) { k.Stream.MulS(x[1][lo:hi], x[0][lo:hi], 1); k.Stream.Fence() })
		}},
		{&l.Triad, 3 * limitBytes, func() error {
			return each(func(lo, hi int) { k.Stream.ScaleMul(x[2][lo:hi], x[0][lo:hi], x[1][lo:hi], 3); k.Stream.Fence() })
		}},
		{&l.FLOPs, fmas * float64(best.lanes), adds(best.multiplyAdds)},
	}
	if best.byteAdds != nil {
		list = append(list, measured{&l.ByteOPs, fmas * float64(best.byteLanes), adds(best.byteAdds)})
	}
	if best.pairAdds != nil {
		l.HalfBF16 = true
		list = append(list, measured{&l.HalfFLOPs, fmas * float64(best.pairLanes), adds(best.pairAdds)})
	}
	for _, m := range list {
		if err := m.run(); err != nil { // pages, and threads that sleep
			return l, err
		}
		least := math.Inf(1)
		for begin := time.Now(); time.Since(begin) < limitTime; {
			from := time.Now()
			if err := m.run(); err != nil {
				return l, err
			}
			least = min(least, time.Since(from).Seconds())
		}
		*m.to = m.work / least
	}
	return l, nil
}

// measured is one limit: work is done in each run.
type measured struct {
	to   *float64
	work float64
	run  func() error
}

// limitPart is how many floats of an array one call takes.
const limitPart = 1 << 16

// multiplyAdds executes n times fmaChains independent multiply-adds, one
// number each: what a processor without vector kernels can do.
func multiplyAdds(n int) {
	const x, y = 0.5, 1.
	var a, b, c, d, e, f, g, h, i, j float32
	for range n {
		a, b, c, d, e = asm.FMA(a, x, y), asm.FMA(b, x, y), asm.FMA(c, x, y), asm.FMA(d, x, y), asm.FMA(e, x, y)
		f, g, h, i, j = asm.FMA(f, x, y), asm.FMA(g, x, y), asm.FMA(h, x, y), asm.FMA(i, x, y), asm.FMA(j, x, y)
	}
	keep(a + b + c + d + e + f + g + h + i + j)
}

// keep is where a result goes that only takes time to compute.
//
//go:noinline
func keep(float32) {}
