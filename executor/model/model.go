// Package model opens a model's folder or GGUF file and makes it ready to run: architecture,
// checkpoint headers, tokenizer, plans, and, once all of that is known to fit,
// weights and memory.
//
// How a plan is compiled is not its business: it is given a function for that.
package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/adapter"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/session"
	"pipe.dev/executor/tokenizer"
	"pipe.dev/kernels"
	"pipe.dev/schema"
)

// Program makes plans of one model for different sizes.
type Program interface {
	Plan(sizes map[string]int) (*plan.Plan, error)
	// Spans reports whether what it computes goes by how long sequences may get,
	// as some kinds of rotary scaling do.
	Spans() bool
	Graph() *ir.Graph // before sizes are named
	// Reach says how far what it computes looks along a named size.
	Reach(size string) (before, after int, err error)
}

// Compile makes a program of an architecture.
type Compile func(m *schema.Model, e plan.Entry, w Weights) (Program, error)

// Weights say what weights there are for an architecture.
type Weights struct {
	DType     func(path string) (ir.DType, bool)            // in which a weight is stored
	Blocks    func(path string, t ir.Type) (ir.DType, bool) // or in blocks, where these can be read of weights like t
	Layout    func(path string) (ir.Layout, bool)           // in which it lies already; may be nil
	Pairs     func(path string) (heads int, ok bool)        // whose rows its file has as pairs of neighbours; may be nil
	Adapter   *adapter.Adapter                              // nil if there is none
	Precision ir.DType                                      // that the model computes in
	TF32      bool                                          // whether products with those in f32 may be of numbers rounded to tf32
}

// Options say which model to open and how to run it.
type Options struct {
	Name      string        // in the document, for messages: "models.llm"
	Dir       string        // the model folder, or a file in the format GGUF; with Arch, a folder or file of weights
	Arch      *schema.Model // what the model is, if its folder does not say it
	Tokenizer string        // the folder or file of the tokenizer; "" for that of Dir
	Adapter   string        // a folder in PEFT's form, or a file of adapters of several models; "" for none
	Scale     float64       // what the adapter adds is multiplied by it, beside its own factor
	Context   int           // positions of the key/value cache; 0 means as many as the model was trained on
	Cache     ir.DType
	CacheAt   ir.Pos // where the document says so
	Weights   Formats
	Precision ir.DType // that it computes in, F32, BF16 or F16; Invalid is F32
	TF32      bool     // products of f32 with f32 may be of numbers rounded to tf32
	Backend   kernels.Backend
	Host      kernels.Backend // where layers may stay, if the device has memory of its own; else nil
	Offload   Offload
	Compile   Compile
	Progress  func(done, total int64) // bytes of weights, while they are read; may be nil
	Warn      func(error)             // is told of weights that stay as they are stored; may be nil
}

// Model is an opened model. Text and Forward say what it is to be used for;
// Load then reads it; after that it can be run. It is not safe for concurrent
// use.
type Model struct {
	opt       Options
	from      *Source
	arch      *schema.Model
	ckpt      *checkpoint.Checkpoint
	adapter   *adapter.Adapter // or nil
	tokenizer *tokenizer.Tokenizer
	programs  map[string]Program
	plans     []*plan.Plan // everything that was asked for
	asked     map[*plan.Plan]int
	text      []*plan.Plan // those that continue a sequence
	sources   []*plan.Plan // those that read what a text is made of
	beams     *beams       // nil if no search was asked for
	batch     *batch       // of several texts, or nil
	context   int          // of text
	partial   bool         // some outputs are not wanted, nor are their weights
	device    side
	host      side // of a model that is cut
	cut       bool
	layers    int                   // on the host, if it is cut
	made      map[*plan.Plan]madeOf // every plan
	joined    map[string]*plan.Plan // of both sides, by what they are of
	formats   *chosen
	sessions  map[*plan.Plan]*session.Session
}

// Open reads the architecture and the headers of the checkpoint, no weight.
func Open(o Options) (*Model, error) {
	source, err := OpenSource(o.Dir, o.Arch)
	if err != nil {
		return nil, err
	}
	for _, field := range source.Arch.Unread {
		if o.Warn != nil {
			o.Warn(field)
		}
	}
	if o.Cache == ir.Invalid {
		o.Cache = ir.F32
	}
	var a *adapter.Adapter
	if o.Adapter != "" {
		if a, err = openAdapter(o, source); err != nil {
			source.Close()
			return nil, err
		}
	}
	m := &Model{opt: o, from: source, arch: source.Arch, ckpt: source.Checkpoint, adapter: a, programs: map[string]Program{}, sessions: map[*plan.Plan]*session.Session{}, asked: map[*plan.Plan]int{},
		formats: &chosen{types: map[string]ir.Type{}, stay: map[string]ir.DType{}}, made: map[*plan.Plan]madeOf{}, joined: map[string]*plan.Plan{},
		device: side{backend: o.Backend}, host: side{backend: o.Host}}
	m.cutAsAsked()
	return m, nil
}

// Close gives memory and files back.
func (m *Model) Close() error {
	var first error
	keep := func(err error) {
		if err != nil && first == nil {
			first = err
		}
	}
	keep(m.Release())
	keep(m.ckpt.Close())
	if m.adapter != nil {
		keep(m.adapter.Close())
	}
	return first
}

// Dir is the model folder, or file.
func (m *Model) Dir() string { return m.opt.Dir }

// Name is the model's name in the document.
func (m *Model) Name() string { return m.opt.Name }

// Trained is the number of positions that the model was trained on, 0 if that is not known.
func (m *Model) Trained() int { return m.arch.Context }

// Plans are all plans that were asked for.
func (m *Model) Plans() []*plan.Plan { return m.plans }

// program compiles an entry once.
func (m *Model) program(e plan.Entry) (Program, error) { return m.programOf(e, m.pairs) }

// programOf is program for weights that a file has in another order than the document; pairs may be nil.
func (m *Model) programOf(e plan.Entry, pairs func(path string) (int, bool)) (Program, error) {
	key := fmt.Sprintf("%+v %t", e, pairs != nil)
	if p, ok := m.programs[key]; ok {
		return p, nil
	}
	p, err := m.opt.Compile(m.arch, e, Weights{DType: m.weight, Blocks: m.blocks, Layout: m.layout(e), Pairs: pairs, Adapter: m.adapter, Precision: m.opt.Precision, TF32: m.opt.TF32})
	if cache := (*plan.CacheError)(nil); errors.As(err, &cache) && m.opt.CacheAt.Line > 0 {
		return nil, &schema.Error{Pos: m.opt.CacheAt, Msg: err.Error()} // the document can be changed, what asks for the cache cannot
	}
	if err != nil {
		return nil, err
	}
	if err := m.formats.check(m.opt); err != nil {
		return nil, err
	}
	m.programs[key] = p
	return p, nil
}

// plan compiles an entry for sizes.
func (m *Model) plan(e plan.Entry, sizes map[string]int) (*plan.Plan, error) {
	if m.cut {
		return m.cutPlan(e, sizes)
	}
	program, err := m.program(e)
	if err != nil {
		return nil, err
	}
	p, err := program.Plan(sizes)
	if err == nil {
		m.made[p] = madeOf{e, sizes}
	}
	return p, err
}

// want remembers that plans will be run.
func (m *Model) want(plans ...*plan.Plan) {
	for _, p := range plans {
		m.asked[p]++
		if !slices.Contains(m.plans, p) {
			m.plans = append(m.plans, p)
		}
	}
}

// weight is the element type in which a weight stays, or of a model that computes in
// 16 bits becomes. What the checkpoint has and no kernel reads becomes f32.
func (m *Model) weight(path string) (ir.DType, bool) {
	t, ok := m.ckpt.Lookup(m.tensorName(path))
	if d := m.opt.Precision; ok && (d == ir.BF16 || d == ir.F16) && len(t.Shape) > 1 && t.DType.Float() {
		return d, true
	}
	if !ok || t.DType != ir.BF16 && t.DType != ir.F16 {
		return ir.F32, true
	}
	return t.DType, true
}

// blocks is the type of blocks in which a weight is stored, if its op reads
// such: that of the file, or else the one that was asked for. Weights of an
// adapter stay as they are.
func (m *Model) blocks(path string, like ir.Type) (ir.DType, bool) {
	t, ok := m.ckpt.Lookup(m.tensorName(path))
	if !ok {
		return ir.Invalid, false
	}
	d := m.formats.choose(m.opt.Weights, path, like, t.DType.Blocked())
	if t.DType.Blocked() {
		return t.DType, true
	}
	return d, d != ir.Invalid
}

// pairs is the number of heads whose rows the file of a weight has as pairs of neighbours.
func (m *Model) pairs(path string) (heads int, ok bool) {
	t, ok := m.ckpt.Lookup(m.tensorName(path))
	return t.Heads, ok && t.Heads > 0
}

// tensorName is the checkpoint's name for a weight.
func (m *Model) tensorName(path string) string { return m.from.Name(path) }

// source is the file that has the weight at a path, and its name there.
func (m *Model) source(path string) (*checkpoint.Checkpoint, string) {
	if m.adapter != nil {
		if name, ok := m.adapter.Tensor(path); ok {
			return m.adapter.Checkpoint(), name
		}
	}
	return m.ckpt, m.tensorName(path)
}

// ratios is the layer of which the weight at path holds ratios of magnitudes.
func (m *Model) ratios(path string) (adapter.Layer, bool) {
	if m.adapter == nil {
		return adapter.Layer{}, false
	}
	return m.adapter.RatiosOf(path)
}

// Rate is how many samples a second the sound has that the model makes, by its
// config; 0 if that says nothing.
func (m *Model) Rate() int {
	n, _ := m.arch.Config["sampling_rate"].(json.Number)
	rate, err := n.Int64()
	if err != nil || rate < 0 || rate > math.MaxInt32 {
		return 0
	}
	return int(rate)
}
