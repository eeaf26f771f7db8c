// Package pool runs the parts of a loop on a fixed set of goroutines that
// spin for a moment between loops, because waking a parked goroutine costs
// more than most kernels take.
//
// It is a fork-join of independent parts and nothing else: no queue, no
// priorities, no nesting. Which worker runs which part is not determined, so
// a part must not depend on it.
package pool

import (
	"sync"
	"sync/atomic"
	"time"
)

// spin is how long a worker looks for work before it parks: about as long as
// waking it would take, so that at worst twice that is lost.
const spin = 100 * time.Microsecond

// Func is one part of a loop. worker, below Threads, names the goroutine that
// runs it, for memory that each of them owns; the caller of Run is worker 0.
type Func func(worker, part int)

// Pool is a set of workers. Its methods may be called from several goroutines;
// loops run one after another, so that what a worker owns is never shared.
type Pool struct {
	mu      sync.Mutex // held while a loop runs
	threads int
	workers sync.WaitGroup
	wake    chan struct{}
	closed  atomic.Bool

	_ [64]byte
	// left counts parts that nobody has claimed. Claiming is a compare-and-swap
	// of left, after which f and n belong to that part's loop, since the loop
	// can't end before the part is done.
	left     atomic.Int64
	sleepers atomic.Int64 // workers that wait on wake and were not sent a token
	f        Func
	n        int64
	_        [64]byte
	pending  atomic.Int64 // parts not done
	_        [64]byte
}

// New starts a pool that runs loops on that many threads, the caller of Run
// among them. Fewer than one counts as one.
func New(threads int) *Pool {
	p := &Pool{threads: max(threads, 1)}
	p.wake = make(chan struct{}, p.threads)
	for w := 1; w < p.threads; w++ {
		p.workers.Go(func() { p.work(w) })
	}
	return p
}

// Threads returns the number of goroutines that run parts.
func (p *Pool) Threads() int { return p.threads }

// Run calls f for every part from 0 to n-1 and returns when all are done. It
// does not allocate. f must not call Run. After Close, the caller runs
// everything.
func (p *Pool) Run(n int, f Func) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n <= 1 || p.threads == 1 {
		for i := range n {
			f(0, i)
		}
		return
	}
	p.f, p.n = f, int64(n)
	p.pending.Store(int64(n))
	p.left.Store(int64(n))
	p.rouse(min(n, p.threads) - 1)
	for p.claim(0) {
	}
	for i := 0; p.pending.Load() > 0; i++ {
		if i < 256 {
			pause(8)
		} else {
			yield()
		}
	}
	p.f = nil
}

// Close ends the workers and waits for them. It may be called more than once.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed.Store(true)
	p.rouse(p.threads)
	p.mu.Unlock()
	p.workers.Wait()
}

// claim runs one part, or reports that none is left.
func (p *Pool) claim(worker int) bool {
	for {
		left := p.left.Load()
		if left <= 0 {
			return false
		}
		if p.left.CompareAndSwap(left, left-1) {
			p.f(worker, int(p.n-left))
			p.pending.Add(-1)
			return true
		}
	}
}

// rouse sends a token to up to k sleepers.
func (p *Pool) rouse(k int) {
	for ; k > 0 && p.unlist(); k-- {
		p.wake <- struct{}{}
	}
}

// unlist takes one worker off the list of sleepers, whichever it is.
func (p *Pool) unlist() bool {
	for {
		s := p.sleepers.Load()
		if s == 0 {
			return false
		}
		if p.sleepers.CompareAndSwap(s, s-1) {
			return true
		}
	}
}

func (p *Pool) work(worker int) {
	for !p.closed.Load() {
		if p.claim(worker) {
			continue
		}
		for start, i := time.Now(), 1; p.left.Load() <= 0 && !p.closed.Load(); i++ {
			pause(8)
			if i%16 == 0 && time.Since(start) > spin {
				p.park()
				break
			}
		}
	}
}

// park waits for a token, unless work arrived while the worker put itself on
// the list.
func (p *Pool) park() {
	p.sleepers.Add(1)
	if (p.left.Load() > 0 || p.closed.Load()) && p.unlist() {
		return
	}
	<-p.wake
}
