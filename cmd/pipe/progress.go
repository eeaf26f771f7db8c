package main

import (
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows on a terminal how far tasks are, one bar at a time, with their
// speed and the time that is left. Elsewhere, and with --quiet, it shows nothing.
type progress struct {
	c         *console
	container *mpb.Progress
	bar       *mpb.Bar
	task      string
}

func newProgress(c *console) *progress { return &progress{c: c} }

// update says that done of total bytes of a task are done. Another task than
// before replaces its bar.
func (p *progress) update(task string, done, total int64) {
	p.show(task, done, total, decor.CountersKibiByte("% .1f / % .1f"), decor.AverageSpeed(decor.SizeB1024(0), " % .1f"))
}

// count is update for what is counted in other things than bytes.
func (p *progress) count(task string, done, total int64) {
	p.show(task, done, total, decor.CountersNoUnit("%d / %d"))
}

// steps is count, for the steps of a stage.
func (p *progress) steps(stage string, done, total int) { p.count(stage, int64(done), int64(total)) }

func (p *progress) show(task string, done, total int64, counters ...decor.Decorator) {
	if p.c == nil || p.c.quiet || !isTerminal(p.c.errs) {
		return
	}
	if p.bar == nil || p.task != task {
		p.stop()
		p.task = task
		p.container = mpb.New(mpb.WithOutput(p.c.errs), mpb.WithWidth(60))
		p.bar = p.container.AddBar(total,
			mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(task+" ")),
			mpb.AppendDecorators(append(counters, decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO))...))
	}
	p.bar.SetCurrent(done)
}

// stop takes the bar away, however far it got. Another update shows one again.
func (p *progress) stop() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(true)
	p.container.Wait()
	p.bar, p.container = nil, nil
}
