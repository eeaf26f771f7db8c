package cuda

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// How limits are measured; of the device's size, so that the emulator's is done soon.
const (
	limitBytes   = 8 << 20 // of each array, for each multiprocessor: far beyond the caches
	limitBlocks  = 8       // for each multiprocessor
	limitThreads = 256
	limitChains  = 8 // as source/limits.cu has it
	limitTime    = 5 * time.Millisecond
	limitRuns    = 5 // the quickest counts
)

// limitParams is Limit of source/limits.cu.
type limitParams struct {
	to, from, other driver.Pointer
	n               uint64
	step            uint32
}

// limit is a kernel that only computes.
type limit struct {
	file, kernel string
	room         int
	rounds       uint64  // at first
	each         float64 // operations of a thread in a round
}

var (
	limitFMA   = limit{"limits", "limit_fma", 0, 16, 2 * limitChains}
	limitHalf  = limit{"limits", "limit_half", 0, 16, 4096 * limitChains / warp}
	limitWGMMA = limit{"limits_wgmma", "limit_wgmma", 33 << 10, 1, 8 * 64 * 192 * 16 / 128}
)

// Limits measures the device: multiply-adds of f32, and of bf16 on tensor cores (by wgmma
// where products go by it), that wait for nothing; reading, copying and STREAM's triad; and what a
// kernel takes at least in a graph.
func (b *Backend) Limits(ctx context.Context) (l kernels.Limits, err error) {
	n := max(1, b.device.Multiprocessors)
	l = kernels.Limits{Threads: n, With: fmt.Sprintf("%s, events", b.device.Name)}
	var at [3]driver.Pointer
	for i := range at {
		buf, err := b.Alloc(int64(n) * limitBytes)
		if err != nil {
			return l, err
		}
		defer buf.Free()
		at[i] = buf.(*buffer).at
	}
	p := &limitParams{to: at[0], from: at[1], other: at[2]}
	g := grid{driver.Dim{X: n * limitBlocks, Y: 1, Z: 1}, limitThreads}
	threads, half := float64(n*limitBlocks*limitThreads), limitHalf
	if b.device.Capability() == wgmmaCapability {
		good, err := b.proven("bf16", "kk")
		if err != nil {
			return l, err
		}
		if good {
			half = limitWGMMA
		}
	}
	for _, m := range []struct {
		to *float64
		limit
	}{{&l.FLOPs, limitFMA}, {&l.HalfFLOPs, half}} {
		seconds := 0.0
		for p.n = m.rounds; seconds < limitTime.Seconds() && p.n < 1<<30; p.n *= 2 {
			if seconds, err = b.quickest(ctx, m.limit, g, p); err != nil {
				return l, err
			}
			*m.to = threads * m.each * float64(p.n) / seconds
		}
	}
	p.n = uint64(n) * limitBytes / 16
	for i, to := range []*float64{&l.Read, &l.Copy, &l.Triad} {
		p.step = uint32(i)
		seconds, err := b.quickest(ctx, limit{file: "limits", kernel: "limit_stream"}, g, p)
		if err != nil {
			return l, err
		}
		*to = float64(i+1) * float64(n*limitBytes) / seconds
	}
	step, err := launch(b, "limits", "limit_nothing", grid{driver.Dim{X: 1, Y: 1, Z: 1}, 32}, p)
	if err != nil {
		return l, err
	}
	took, err := b.Took(ctx, step, limitTime)
	if err == nil {
		l.Launch = least(took)
	}
	return l, err
}

// warp is how many threads run together.
const warp = 32

// quickest is the seconds of a kernel, of some runs.
func (b *Backend) quickest(ctx context.Context, k limit, g grid, p *limitParams) (float64, error) {
	step, err := launchRoom(b, k.file, k.kernel, g, k.room, p)
	if err != nil {
		return 0, err
	}
	var took []float64
	for i := range limitRuns + 1 {
		seconds, err := b.between(ctx, step)
		if err != nil {
			return 0, err
		}
		if i > 0 { // the first loads it
			took = append(took, seconds)
		}
	}
	return least(took), nil
}

func least(x []float64) float64 {
	least := x[0]
	for _, v := range x {
		least = min(least, v)
	}
	return least
}

// between runs something that puts work into the stream, and returns the seconds
// that the device took for it.
func (b *Backend) between(ctx context.Context, run kernels.Step) (float64, error) {
	from, err := b.device.NewEvent()
	if err != nil {
		return 0, err
	}
	to, err := b.device.NewEvent()
	if err != nil {
		return 0, errors.Join(err, from.Close())
	}
	defer func() { from.Close(); to.Close() }()
	for _, do := range []func() error{
		func() error { return b.alone(func() error { return from.Record(b.stream) }) },
		func() error { return run(ctx) },
		func() error { return b.alone(func() error { return to.Record(b.stream) }) },
		func() error { return b.Sync(ctx) },
	} {
		if err := do(); err != nil {
			return 0, err
		}
	}
	ms, err := to.Since(from)
	return max(1e-9, float64(ms)/1e3), err // events may be alike
}

// How steps are measured: as many in one graph as take tookGraph together, so that
// what launching that costs is not seen.
const (
	tookGraph = 2 * time.Millisecond
	tookMost  = 1000
	slow      = 100 * time.Millisecond // a step that needs no company
)

// each measures a slow step by itself.
func (b *Backend) each(ctx context.Context, step kernels.Step) ([]float64, error) {
	var took []float64
	for range 3 {
		seconds, err := b.between(ctx, step)
		if err != nil {
			return nil, err
		}
		took = append(took, seconds)
	}
	return took, nil
}

// Took measures a step by events, many runs of it in one graph.
func (b *Backend) Took(ctx context.Context, step kernels.Step, long time.Duration) ([]float64, error) {
	if _, err := b.between(ctx, step); err != nil { // loads it
		return nil, err
	}
	one, err := b.between(ctx, step)
	if err != nil {
		return nil, err
	}
	if one > slow.Seconds() {
		return b.each(ctx, step)
	}
	steps := make([]kernels.Step, max(1, min(tookMost, int(tookGraph.Seconds()/one))))
	for i := range steps {
		steps[i] = step
	}
	g := b.Group(steps, func(_ int, err error) error { return err })
	var took []float64
	for i, all := 0, 0.0; len(took) < limitRuns || all < long.Seconds(); i++ {
		seconds, err := b.between(ctx, g.Run)
		if err == nil {
			err = g.Wait(ctx)
		}
		if err != nil {
			return nil, err
		}
		if all += seconds; i >= 3 { // the second records
			took = append(took, seconds/float64(len(steps)))
		}
	}
	return took, nil
}
