package main

import (
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far reading weights has come, with the time that is
// left, if stderr is a terminal and it takes long enough to look.
type progress struct {
	c     *console
	start time.Time

	mu   sync.Mutex
	bars *mpb.Progress
	bar  map[string]*mpb.Bar
}

// patience is how long work may go on before a bar appears.
const patience = 300 * time.Millisecond

func newProgress(c *console) *progress {
	return &progress{c: c, start: time.Now(), bar: map[string]*mpb.Bar{}}
}

// update says that done of total bytes of a model have been read.
func (p *progress) update(model string, done, total int64) {
	if p.c.quiet || !isTerminal(p.c.errs) || time.Since(p.start) < patience {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars == nil {
		p.bars = mpb.New(mpb.WithOutput(p.c.errs), mpb.WithWidth(40))
	}
	bar := p.bar[model]
	if bar == nil {
		bar = p.bars.AddBar(total,
			mpb.PrependDecorators(decor.Name("reading "+model+" "), decor.CountersKibiByte("% .1f / % .1f")),
			mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)),
			mpb.BarRemoveOnComplete())
		p.bar[model] = bar
	}
	bar.SetCurrent(done)
}

// stop ends the bars and waits until they are gone from the screen.
func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars == nil {
		return
	}
	for _, bar := range p.bar {
		bar.Abort(true)
	}
	p.bars.Wait()
	p.bars = nil
}
