package pool

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Every part of every loop runs exactly once, for any number of threads,
// whether the workers still spin or have parked.
func TestRun(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		p := New(threads)
		counts := make([]int, 100)
		loops := 0
		for n := range len(counts) + 1 {
			for range 20 {
				p.Run(n, func(worker, part int) {
					if worker < 0 || worker >= threads {
						t.Errorf("worker %d of %d", worker, threads)
					}
					counts[part]++
				})
				loops++
			}
			if n%25 == 0 {
				time.Sleep(2 * spin)
			}
		}
		for i, c := range counts {
			if want := 20 * (len(counts) - i); c != want {
				t.Errorf("%d threads: part %d ran %d times, want %d", threads, i, c, want)
			}
		}
		p.Close()
	}
}

func TestFromManyGoroutines(t *testing.T) {
	p := New(3)
	defer p.Close()
	var sum atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				p.Run(7, func(_, part int) { sum.Add(int64(part)) })
			}
		})
	}
	wg.Wait()
	if want := int64(8 * 200 * 21); sum.Load() != want {
		t.Errorf("sum %d, want %d", sum.Load(), want)
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	p := New(6)
	p.Run(50, func(_, _ int) {})
	p.Close()
	p.Close()
	ran := 0
	p.Run(4, func(_, _ int) { ran++ }) // alone, without a race
	if ran != 4 {
		t.Errorf("%d parts ran after Close, want 4", ran)
	}
	// A worker that has said it is done is counted until it is gone.
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}

func TestParks(t *testing.T) {
	p := New(4)
	defer p.Close()
	p.Run(8, func(_, _ int) {})
	deadline := time.Now().Add(5 * time.Second)
	for p.sleepers.Load() < 3 {
		if time.Now().After(deadline) {
			t.Fatalf("%d of 3 workers parked", p.sleepers.Load())
		}
		time.Sleep(spin)
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	p := New(2)
	defer p.Close()
	var sum atomic.Int64
	f := func(_, part int) { sum.Add(int64(part)) }
	if n := testing.AllocsPerRun(500, func() { p.Run(16, f) }); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

var sink atomic.Uint64

func busy(n int) {
	x := uint64(n)
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	if x == 42 {
		sink.Add(1)
	}
}

func BenchmarkRun(b *testing.B) {
	for _, steps := range []struct {
		name string
		n    int
	}{{"250ns", 250}, {"1us", 1000}, {"4us", 4000}} {
		f := func(_, _ int) { busy(steps.n) }
		b.Run("serial/4x"+steps.name, func(b *testing.B) {
			for b.Loop() {
				for i := range 4 {
					f(0, i)
				}
			}
		})
		b.Run("pool/4x"+steps.name, func(b *testing.B) {
			b.ReportAllocs()
			p := New(2)
			defer p.Close()
			for b.Loop() {
				p.Run(4, f)
			}
		})
	}
}
