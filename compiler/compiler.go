// Package compiler turns an architecture into plans: it elaborates the
// document's nodes into a graph, rewrites the graph by a literal table of
// passes, and, for each set of sizes, orders the nodes and places their memory.
//
// It knows a device only by the contract in kernels: which kernels it has, which
// layouts they read, what scratch they need; it runs none. It knows no op by
// more than its row in compiler/op, but in the passes that fuse ops, which name
// what they fuse.
package compiler

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/kernels"
	"pipe.dev/schema"
)

// Entry says which program to make of a model.
type Entry = plan.Entry

// Options say how to compile.
type Options struct {
	Entry  Entry
	Target kernels.Backend
	// Weight gives the element type in which a weight is stored; nil, or false,
	// means f32.
	Weight func(path string) (ir.DType, bool)
	// Blocks gives the type of blocks in which a weight is stored, if its op
	// can read blocks and its rows are whole ones; else, and where it is nil
	// or says false, Weight decides.
	Blocks func(path string, t ir.Type) (ir.DType, bool)
	// Pairs gives the number of heads whose rows a weight's file has as pairs of
	// neighbours; nil, or false, means that it has them as the document does.
	Pairs func(path string) (heads int, ok bool)
	// Layout gives the layout in which a weight lies for another program of the
	// model that shares it; nil, or false, means that this one may choose.
	Layout func(path string) (ir.Layout, bool)
	// Sizes are named sizes that are known already, as the rows of a batch.
	Sizes map[string]int
	// Adapter, if set, is added to the model; its weights are like any others.
	// That of a training stands there.
	Adapter *Adapter
	// TF32 says that products of f32 with f32 may be of numbers rounded to tf32,
	// see op.AllowTF32: those of the model, and of its gradients.
	TF32 bool
	// Precision is the type in which a program without training computes, bf16 or f16; else f32.
	// Weights of two axes and more should be stored in it.
	Precision ir.DType
	// Training, if set, makes a program that learns, of an entry without cache.
	Training *Training
	// Trace, if set, sees the graph after elaboration and after every pass.
	Trace func(pass string, g *ir.Graph)
}

// Program is a model compiled for a target, with sizes still to be named.
// It is safe for concurrent use.
type Program struct {
	table *op.Table
	opt   Options
	graph *ir.Graph
	spans bool

	mu    sync.Mutex
	plans map[string]*plan.Plan
}

// pass rewrites a graph. It must leave the meaning as it is.
type pass struct {
	name  string
	run   func(*context, *ir.Graph) (*ir.Graph, error)
	after []string // passes that must come before this one
	why   string
	outer bool // leaves the bodies of scans alone
}

type context struct {
	table *op.Table
	opt   *Options
	base  *ir.Graph // of a training: the model before it is adapted
	spans bool      // see Program.Spans

	recompute int                     // blocks that remat takes, or AllBlocks
	again     plan.Again              // what it took
	waits     map[*ir.Node][]*ir.Node // what nodes wait for besides their inputs
}

// passes run in this order; verify runs after each. Those before "bind" see
// named sizes and run once; those from "bind" on run for every set of sizes.
var passes = []pass{
	{name: "cut", run: cut, outer: true,
		why: "each side of a cut is a program of its own, for its own device"},
	{name: "adapt", run: adapt, outer: true, after: []string{"cut"},
		why: "an adapter is a part of the model, and of what learns"},
	{name: "pairs", run: pairs, outer: true, after: []string{"adapt"},
		why: "what an adapter adds has the document's order"},
	{name: "isolate", run: isolate, outer: true,
		why: "what a query sees is a part of the model that learns"},
	{name: "pad", run: pad, outer: true,
		why: "what a query sees is a part of the model"},
	{name: "dropout", run: dropout, outer: true, after: []string{"adapt"},
		why: "only what learns leaves anything out; an adapter may bring some"},
	{name: "precision", run: precision, outer: true, after: []string{"adapt", "isolate", "dropout"},
		why: "what a training adds computes as narrow as the model"},
	{name: "norms", run: writeNorms, outer: true, after: []string{"precision"},
		why: "lengths and singular values are computed wide, and learn with the weights that are made of them"},
	{name: "statistics", run: statistics, outer: true, after: []string{"adapt", "precision", "norms"},
		why: "running statistics stay wide; their next values are no part of a loss"},
	{name: "learn", run: learn, outer: true, after: []string{"precision", "statistics"},
		why: "gradients are those of the document's ops, before any is changed or fused"},
	{name: "copies", run: copies, outer: true, after: []string{"learn"},
		why: "casts are seen as such before any is folded, shared or fused"},
	{name: "narrow", run: narrow, outer: true, after: []string{"learn"},
		why: "rows that nobody reads are dropped while layers are still whole ops"},
	{name: "fold", run: fold, after: []string{"narrow"},
		why: "identities and constants hide the patterns that fuse looks for"},
	{name: "cse", run: cse, after: []string{"fold"},
		why: "equal values become one, so that patterns with one use are seen as such"},
	{name: "fuse", run: fuse, after: []string{"cse"},
		why: "patterns are matched before lowering takes ops apart that have a kernel only as a whole"},
	{name: "lower", run: lower, after: []string{"fuse"},
		why: "what has no kernel on the target becomes simpler ops"},
	{name: "share", run: cse, after: []string{"lower"},
		why: "lowering repeats work, as the rotary table of every layer"},
	{name: "plus", run: plus, after: []string{"share"},
		why: "what is added to a product is no elementwise op of its own"},
	{name: "chain", run: chain, after: []string{"share", "plus"},
		why: "elementwise ops that are left become one pass over memory"},
	{name: "recast", run: recast, after: []string{"share", "chain"},
		why: "what is made twice on purpose must not become one again; chains cast within"},
}

// Passes lists the names of the passes, in order.
func Passes() []string {
	names := []string{"elaborate"}
	for _, p := range passes {
		names = append(names, p.name)
	}
	return append(names, "bind", "convolve", "settle", "remat", "schedule")
}

// Compile elaborates m and runs the passes on it.
func Compile(m *schema.Model, t *op.Table, o Options) (*Program, error) {
	c := &context{table: t, opt: &o}
	g, err := elaborate(c, m)
	if err != nil {
		return nil, err
	}
	if len(o.Sizes) > 0 {
		g = sized(g, o.Sizes)
	}
	if err := c.check("elaborate", g); err != nil {
		return nil, err
	}
	p, err := Optimize(g, t, o)
	if err != nil {
		return nil, err
	}
	p.spans = c.spans
	return p, nil
}

// Optimize runs the passes on a graph that was made by other means.
func Optimize(g *ir.Graph, t *op.Table, o Options) (*Program, error) {
	c := &context{table: t, opt: &o}
	done := map[string]bool{}
	for _, p := range passes {
		for _, before := range p.after {
			if !done[before] {
				return nil, fmt.Errorf("pass %s runs before %s", p.name, before)
			}
		}
		next, err := p.over(c, g)
		if err != nil {
			return nil, within("pass "+p.name, err)
		}
		if err := c.check(p.name, next); err != nil {
			return nil, err
		}
		g, done[p.name] = next, true
	}
	return &Program{table: t, opt: o, graph: g, plans: map[string]*plan.Plan{}}, nil
}

// within says in which pass an error occurred, unless the error names the line
// of the document: then the line comes first and the pass is nobody's concern.
func within(pass string, err error) error {
	var placed *op.Error
	if errors.As(err, &placed) && placed.Pos.File != "" {
		return err
	}
	return fmt.Errorf("%s: %w", pass, err)
}

// verifyOnly verifies g.
func (c *context) verifyOnly(name string, g *ir.Graph) error {
	if err := verify(c.table, g); err != nil {
		return within("after pass "+name, err)
	}
	return nil
}

// check verifies g and shows it to whoever traces.
func (c *context) check(name string, g *ir.Graph) error {
	if err := c.verifyOnly(name, g); err != nil {
		return err
	}
	if c.opt.Trace != nil {
		c.opt.Trace(name, g)
	}
	return nil
}

// Graph returns the graph after the passes that do not depend on sizes.
func (p *Program) Graph() *ir.Graph { return p.graph }

// Spans reports whether what the program computes goes by how long sequences
// may get: the size "ctx" if it has a cache, else "seq". Some kinds of rotary
// scaling do.
func (p *Program) Spans() bool { return p.spans }

// Plan returns the plan for the given sizes: every name in the shapes of the
// program, as "batch", "seq", and "ctx" if it has a cache. Plans are made once
// for each set of sizes.
func (p *Program) Plan(sizes map[string]int) (*plan.Plan, error) {
	var blocks int
	if t := p.opt.Training; t != nil {
		blocks = t.Recompute
	}
	return p.planOnce(sizes, blocks)
}

// PlanWithin returns the plan with the fewest blocks computed anew whose work
// arena has at most the given bytes; where there is none, that with the
// smallest arena.
func (p *Program) PlanWithin(sizes map[string]int, work int64) (*plan.Plan, error) {
	least, err := p.planOnce(sizes, 0)
	for n := 1; err == nil && least.WorkBytes > work; n++ {
		var next *plan.Plan
		if next, err = p.planOnce(sizes, n); err != nil || len(next.Again.Blocks) < n {
			break // there are no more
		}
		if next.WorkBytes < least.WorkBytes {
			least = next
		}
	}
	return least, err
}

// planOnce makes a plan, or returns it if it was made before.
func (p *Program) planOnce(sizes map[string]int, blocks int) (*plan.Plan, error) {
	key := fmt.Sprintf("%d ", blocks)
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		key += fmt.Sprintf("%s=%d ", name, sizes[name])
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if made, ok := p.plans[key]; ok {
		return made, nil
	}
	made, err := p.make(sizes, blocks)
	if err == nil {
		p.plans[key] = made
	}
	return made, err
}

// late are the passes that see every size.
var late = []pass{
	{name: "convolve", run: convolve,
		why: "how a convolution is best computed follows from its sizes, and from whether all plans have them"},
	{name: "settle", run: settle, after: []string{"convolve"},
		why: "some ops change nothing once sizes are known"},
	{name: "remat", run: remat, outer: true, after: []string{"settle"},
		why: "no pass after it may make one of equal nodes"},
	{name: "schedule", run: schedule, outer: true, after: []string{"remat"},
		why: "what is computed anew must come late"},
}

func (p *Program) make(sizes map[string]int, blocks int) (*plan.Plan, error) {
	c := &context{table: p.table, opt: &p.opt, recompute: blocks}
	g, err := bind(c, p.graph, sizes)
	if err != nil {
		return nil, err
	}
	if err := c.check("bind", g); err != nil {
		return nil, err
	}
	for _, pass := range late {
		if g, err = pass.over(c, g); err != nil {
			return nil, err
		}
		if err := c.check(pass.name, g); err != nil {
			return nil, err
		}
	}
	made, err := place(c, g)
	if err != nil {
		return nil, err
	}
	made.Sizes, made.Again = maps.Clone(sizes), c.again
	return made, nil
}
