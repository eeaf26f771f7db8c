package bench_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/bench"
	"pipe.dev/kernels/cpu"
)

func open(t *testing.T) (kernels.Backend, []bench.Case) {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	list, err := bench.List(be, table)
	if err != nil {
		t.Fatal(err)
	}
	return be, list
}

// Every large case is listed under a name of its own, with its cost.
func TestList(t *testing.T) {
	_, list := open(t)
	seen := map[string]bool{}
	for i := range list {
		c := &list[i]
		if seen[c.String()] {
			t.Errorf("%v is listed twice", c)
		}
		seen[c.String()] = true
		if c.Written <= 0 || c.FLOPs < 0 || c.Read < 0 {
			t.Errorf("%v: %d FLOPs, %d bytes read, %d written", c, c.FLOPs, c.Read, c.Written)
		}
		if c.String() == "linear/large/bf16 weights" {
			if m, n, k := int64(256), int64(1024), int64(1024); c.FLOPs != 2*m*n*k || c.Read != 4*m*k+2*n*k || c.Written != 4*m*n {
				t.Errorf("%v: %d FLOPs, %d bytes read, %d written", c, c.FLOPs, c.Read, c.Written)
			}
		}
	}
	for _, d := range []string{"q8_0", "q4_0", "q4_k", "q6_k"} {
		for _, c := range []string{"row", "long row", "128 rows", "512 rows"} {
			if name := "linear/quantised " + c + "/" + d; !seen[name] {
				t.Errorf("%s is missing", name)
			}
		}
	}
	if !seen["linear/large/bf16 weights"] || !seen["add/large/f32"] {
		t.Errorf("cases are missing among %d", len(list))
	}
}

// Memory is given back, runs are counted by the clock, and what was measured
// before an interruption stays.
func TestMeasure(t *testing.T) {
	be, list := open(t)
	list = slices.DeleteFunc(list, func(c bench.Case) bool { return c.Op != "embedding" && c.Op != "concat" })
	if len(list) < 4 {
		t.Fatalf("%d cases", len(list))
	}
	now := time.Time{}
	o := bench.Options{Time: 10 * time.Second, Now: func() time.Time { now = now.Add(time.Second); return now }}
	done, err := bench.Measure(t.Context(), be, list[:1], o)
	if err != nil || len(done) != 1 {
		t.Fatal(done, err)
	}
	// The clock is read before the loop, twice in each run, and between runs
	// once there are three: 7 readings for three runs, then 3 for each.
	if s := done[0].Seconds; s.Median != 1 || s.Least != 1 || s.Spread != 0 || s.Runs != 4 {
		t.Errorf("%+v", s)
	}
	if n := be.(*cpu.Backend).Allocated(); n != 0 {
		t.Errorf("%d bytes are not freed", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o = bench.Options{Progress: func(_ *bench.Case, i, total int) {
		if total != len(list) {
			t.Errorf("%d cases, want %d", total, len(list))
		}
		if i == 2 {
			cancel()
		}
	}}
	if done, err = bench.Measure(ctx, be, list, o); len(done) != 2 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d results and error %v, want two and an interruption", len(done), err)
	}
	if n := be.(*cpu.Backend).Allocated(); n != 0 {
		t.Errorf("%d bytes are not freed after an interruption", n)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b) }

func TestSummarize(t *testing.T) {
	if s := bench.Summarize([]float64{5, 1, 2, 4, 3}); s != (bench.Summary{Median: 3, Least: 1, Spread: 2. / 3, Runs: 5}) {
		t.Errorf("%+v", s)
	}
	if s := bench.Summarize([]float64{4, 1}); s != (bench.Summary{Median: 2.5, Least: 1, Spread: 1.5 / 2.5, Runs: 2}) {
		t.Errorf("%+v", s)
	}
	if s := bench.Summarize(nil); s != (bench.Summary{}) {
		t.Errorf("%+v", s)
	}
}

// With 100 FLOP/s and 10 to 20 bytes/s.
var fake = kernels.Limits{FLOPs: 100, Read: 20, Triad: 12, Copy: 10}

func TestRoofline(t *testing.T) {
	for _, c := range []struct {
		flops, read, written int64
		seconds              float64
		limit                string
		peak, bandwidth      float64
	}{
		{1000, 20, 0, 20, bench.ByCompute, 0.5, 0.05}, // intensity 50: 1,000 FLOP/s of memory, so the peak of 100
		{20, 100, 100, 25, bench.ByMemory, 0.008, 0.8},
		{0, 100, 50, 25, bench.ByMemory, 0, 0.5},
		{60, 20, 0, 1, bench.ByMemory, 0.6, 1},
	} {
		r := bench.Result{Case: &bench.Case{FLOPs: c.flops, Read: c.read, Written: c.written}, Seconds: bench.Summary{Median: c.seconds}}
		s := bench.Of(r, fake)
		roof := max(c.peak, c.bandwidth)
		if s.Limit != c.limit || !near(s.Peak, c.peak) || !near(s.Bandwidth, c.bandwidth) || !near(s.Roof, roof) {
			t.Errorf("%+v gives %+v", c, s)
		}
		// The roofline in its usual words.
		bytes := float64(c.read + c.written)
		most := min(fake.FLOPs, float64(c.flops)/bytes*bench.Bandwidth(fake, c.read, c.written))
		if c.flops > 0 && !near(s.FLOPs/most, s.Roof) {
			t.Errorf("%+v: %v of %v FLOP/s, but a share of %v", c, s.FLOPs, most, s.Roof)
		}
	}
	l := fake
	l.ByteOPs = 400
	r := bench.Result{Case: &bench.Case{FLOPs: 1000, Read: 20, Bytes: true}, Seconds: bench.Summary{Median: 5}}
	if s := bench.Of(r, l); s.Peak != 0.5 || s.Limit != bench.ByCompute {
		t.Errorf("bytes: %+v", s)
	}
	for _, c := range []struct {
		d    ir.DType
		only bool // bf16
		peak float64
	}{{ir.Invalid, false, 2}, {ir.BF16, true, 0.5}, {ir.F16, false, 0.5}, {ir.F16, true, 2}} {
		l := kernels.Limits{FLOPs: 100, HalfFLOPs: 400, HalfBF16: c.only, Read: 20, Triad: 12, Copy: 10}
		r := bench.Result{Case: &bench.Case{FLOPs: 1000, Read: 20, Half: c.d}, Seconds: bench.Summary{Median: 5}}
		if s := bench.Of(r, l); s.Peak != c.peak {
			t.Errorf("%v, bf16 alone %v: %v of the peak, want %v", c.d, c.only, s.Peak, c.peak)
		}
	}
	if s := bench.Of(bench.Result{Case: &bench.Case{}}, fake); s != (bench.Share{}) {
		t.Errorf("of nothing: %+v", s)
	}
}

func TestBandwidth(t *testing.T) {
	for _, c := range []struct {
		read, written int64
		want          float64
	}{
		{9, 0, 20}, {2, 1, 12}, {1, 1, 10}, {0, 5, 10}, {1, 3, 10},
		{5, 1, 1 / (0.5/20 + 0.5/12)}, // a sixth, half-way from reading to the triad
		{7, 5, 1 / (0.5/12 + 0.5/10)}, // 5/12, half-way from the triad to a copy
	} {
		if got := bench.Bandwidth(fake, c.read, c.written); !near(got, c.want) {
			t.Errorf("%d read and %d written: %v bytes/s, want %v", c.read, c.written, got, c.want)
		}
	}
}
