package cuda

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// mostLaunches are those that a graph holds at most. A group of more runs step by
// step, and the groups in it are graphs.
const mostLaunches = 1 << 16

// errRecording says that a step waits for the device, and so can't be in a graph.
var errRecording = errors.New("cuda: a step waits for the device")

// group is steps that run together. The first run puts each into the stream, the
// second records them as a graph, and from then on that is launched: what a
// launch costs is paid for all at once. A group in a group is a part of its graph,
// as often as it runs there.
type group struct {
	b     *Backend
	steps []kernels.Step
	say   func(step int, err error) error
	as    inside // the context of the steps
	slots []*slot

	groups []*group // that run in it
	parent *group   // in which it runs, and by which of its steps
	place  int

	ran       bool
	recording bool
	apart     bool // never a graph
	launches  int  // of a run, of kernels
	graph     *driver.Graph
}

// inside is the context of steps that a group runs: the device has been entered.
type inside struct {
	context.Context
	group, root *group // root is the outermost
	step        int
}

// Group makes steps one.
func (b *Backend) Group(steps []kernels.Step, say func(int, error) error) kernels.Group {
	return &group{b: b, steps: steps, say: say}
}

// Run puts the group into the stream.
func (g *group) Run(ctx context.Context) error {
	if out, ok := ctx.(*inside); ok {
		return g.nested(out)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := g.b.device.Enter(); err != nil {
		return fmt.Errorf("cuda: %w", err)
	}
	defer g.b.device.Leave()
	if g.ran && !g.apart && g.graph == nil {
		if err := g.record(ctx); err != nil {
			return err
		}
	}
	g.b.order.RLock()
	defer g.b.order.RUnlock()
	if g.graph != nil {
		return g.launch()
	}
	return g.first(ctx, g)
}

// nested runs the group as a step of another.
func (g *group) nested(out *inside) error {
	if g.parent == nil {
		g.parent, g.place = out.group, out.step
		g.parent.groups = append(g.parent.groups, g)
	}
	if !out.root.apart || out.root.recording || g.apart {
		return g.each(out.Context, out.root)
	}
	if g.ran && g.graph == nil {
		// Its launches alone were few enough, or it is what makes the root too long.
		g.b.order.RUnlock()
		err := g.record(out.Context)
		g.b.order.RLock()
		if err != nil {
			return err
		}
	}
	if g.graph != nil {
		return g.launch()
	}
	return g.first(out.Context, g)
}

// first runs the steps alone, and learns how many launches they are.
func (g *group) first(ctx context.Context, root *group) error {
	g.launches = 0
	if err := g.each(ctx, root); err != nil {
		return err
	}
	g.ran, g.apart = true, g.apart || g.launches > mostLaunches
	return ctx.Err()
}

func (g *group) launch() error {
	if err := g.graph.Put(); err != nil {
		return fmt.Errorf("cuda: graph of %d kernels: %w", g.launches, err)
	}
	return nil
}

// each runs the steps one by one.
func (g *group) each(ctx context.Context, root *group) error {
	g.as = inside{Context: ctx, group: g, root: root}
	defer func() { g.as.Context = nil }()
	for i, run := range g.steps {
		if i%16 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		g.as.step = i
		if err := run(&g.as); err != nil {
			return g.say(i, err)
		}
	}
	return nil
}

// record makes the graph. A group that can't be one, or for which there is no memory,
// runs step by step from then on.
func (g *group) record(ctx context.Context) error {
	g.b.order.Lock()
	g.recording = true
	var graph *driver.Graph
	var took int64
	err := g.b.measure(&took, func() (err error) {
		graph, err = g.b.stream.Capture(func() error { return g.each(ctx, g) })
		return err
	})
	g.recording = false
	g.b.order.Unlock()
	switch {
	case ctx.Err() != nil:
		return errors.Join(ctx.Err(), closed(graph))
	case errors.Is(err, driver.ErrLost):
		return fmt.Errorf("cuda: record a graph of %d kernels: %w", g.launches, err)
	case err != nil:
		g.apart = true
		return nil
	}
	g.graph = graph
	g.b.mu.Lock()
	g.b.graphs[graph] = true
	g.b.held.graphs += took
	g.b.mu.Unlock()
	b := g.b
	runtime.AddCleanup(g, b.drop, graph)
	return nil
}

func closed(g *driver.Graph) error {
	if g == nil {
		return nil
	}
	return g.Close()
}

// drop destroys the graph of a group that is no more. It may still run: the driver
// keeps it until it is done.
func (b *Backend) drop(g *driver.Graph) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.graphs[g] {
		delete(b.graphs, g)
		g.Close()
	}
}

// Wait waits for all runs, and says what went wrong: what the first step did in
// the order of the plan. Of a group that runs in another, that one's Wait says it.
func (g *group) Wait(ctx context.Context) error {
	if _, ok := ctx.(*inside); ok {
		return nil
	}
	if err := g.b.Sync(ctx); err != nil {
		return err
	}
	return g.fault()
}

// fault takes what the steps found, and returns the error of the first.
func (g *group) fault() error {
	at, first := len(g.steps), error(nil)
	note := func(step int, err error) {
		if err != nil && step < at {
			at, first = step, g.say(step, err)
		}
	}
	for _, s := range g.slots {
		note(s.step, s.take())
	}
	for _, in := range g.groups {
		note(in.place, in.fault())
	}
	return first
}

// watch has Wait look at a word of the step that runs.
func (in *inside) watch(s *slot) {
	if s.in == nil {
		s.in, s.step = in.group, in.step
		in.group.slots = append(in.group.slots, s)
	}
}
