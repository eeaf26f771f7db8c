// Package executor runs documents: a pipeline's stages from its inputs to its
// outputs.
//
// Everything that can be known before a run is checked before it: kinds of
// values along every edge, plans, memory, and the headers of checkpoints.
package executor

import (
	"context"
	"io"
	"maps"
	"slices"
	"strconv"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/data"
	"pipe.dev/executor/hub"
	"pipe.dev/executor/model"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/kernels"
	"pipe.dev/schema"
)

// Options say how to run a pipeline.
type Options struct {
	Backend kernels.Backend
	Host    kernels.Backend // where layers may stay, if the device has memory of its own; else nil
	Compile model.Compile
	Stages  *stage.Table
	// HostMemory is how many bytes of it layers, values and stages may take there; 0 is any number.
	HostMemory int64
	Document   stage.Document // that doc is of; files say nothing of it if it has no hash
	// Amend gives a resolved document with more settings, NAME=VALUE, and its hash.
	Amend    func(resolved []byte, set []string) (text []byte, hash string, err error)
	Progress func(model string, done, total int64) // bytes of weights, while they are read; may be nil
	Steps    func(stage string, done, total int)   // of stages that take long, while they run; may be nil
	Warn     func(error)                           // is told of what a run does in spite of; may be nil
	Out      func() (io.Writer, error)             // see stage.Call; may be nil
	Sounded  func(seconds float64)                 // likewise
}

// Pipeline is a pipeline whose models are opened and whose plans are made.
type Pipeline struct {
	doc    *schema.Pipeline
	opt    Options
	models []*model.Model
	known  map[string]stage.Value // models and inputs by token
	kinds  map[string]stage.Kind  // what each token gives
	calls  map[string]*call
	order  []*call // a call comes after those it reads

	elements *elements              // nil if no stage gives any
	promised map[string]stage.Value // what is known of values before the run, by token
	single   bool                   // models are read when they are needed, not all at the beginning
	chosen   []Choice               // to fit into memory
	reads    []string               // files that stages and inputs read
	sums     map[string]data.FileSum
}

// call is a stage with the tokens that it reads.
type call struct {
	stage.Call
	def  *stage.Def
	doc  *schema.Stage
	from map[string]string            // token by port
	maps map[string]map[string]string // token by port and name
}

// Prepare opens the models of doc and makes the plans that its stages need.
// Close the result.
func Prepare(doc *schema.Pipeline, o Options) (*Pipeline, error) {
	p := &Pipeline{doc: doc, opt: o, known: map[string]stage.Value{}, kinds: map[string]stage.Kind{}, calls: map[string]*call{}, sums: map[string]data.FileSum{}}
	if err := p.prepare(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Check checks what can be known of doc without its models and inputs: that
// every stage reads what it can use.
func Check(doc *schema.Pipeline, stages *stage.Table) error {
	p := &Pipeline{doc: doc, opt: Options{Stages: stages}, kinds: map[string]stage.Kind{}, calls: map[string]*call{}}
	return p.link()
}

func (p *Pipeline) prepare() error {
	if err := p.link(); err != nil {
		return err
	}
	if err := p.inputs(); err != nil {
		return err
	}
	if err := p.open(); err != nil {
		return err
	}
	return p.prepareStages()
}

// prepareStages has each stage say what it needs, and runs those that need little. What
// is wrong in the document is told before what is wrong in the data that these read.
func (p *Pipeline) prepareStages() error {
	promised := maps.Clone(p.known)
	p.promised = promised
	var data error
	for _, c := range p.order {
		p.fill(c, promised)
		if c.def.Prepare != nil {
			if err := c.def.Prepare(&c.Call); err != nil && (data == nil || !is[*stage.UnknownError](err)) {
				return stageError(c.doc.Pos, false, err)
			}
		}
		if c.def.Promise != nil {
			promised[c.ID] = c.def.Promise(&c.Call)
		}
		if !c.def.Early || !p.knows(c) {
			continue
		}
		v, err := c.def.Run(context.Background(), &c.Call)
		switch {
		case err == nil:
			p.known[c.ID], promised[c.ID] = v, v
		case data == nil:
			data = stageError(c.doc.Pos, true, err)
		}
	}
	return data
}

// knows reports whether all that a call reads is known.
func (p *Pipeline) knows(c *call) bool {
	return !slices.ContainsFunc(c.tokens(), func(token string) bool { return p.known[token] == nil })
}

// Close gives the memory and files of the models back.
func (p *Pipeline) Close() error {
	var first error
	for _, m := range p.models {
		if err := m.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Models are the opened models, in the order of the document.
func (p *Pipeline) Models() []*model.Model { return p.models }

func (p *Pipeline) open() error {
	if err := proveFolder(p.doc.Folder); err != nil {
		return err
	}
	for _, ref := range p.doc.Models {
		if err := provePart(p.doc.Folder, ref.From); err != nil {
			return err
		}
		cache := ir.F32
		if ref.Cache != "" {
			var err error
			if cache, err = parseCache(ref.Cache); err != nil {
				return &schema.Error{Pos: ref.CacheAt, Msg: err.Error()}
			}
		}
		weights, err := model.ParseFormats(ref)
		if err != nil {
			return err
		}
		name := "models." + ref.Name
		dir, err := hub.Folder(ref.From)
		if err != nil {
			return err
		}
		adapted, err := hub.Folder(ref.Adapter)
		if err != nil {
			return err
		}
		words, err := hub.Folder(ref.Tokenizer)
		if err != nil {
			return err
		}
		arch := ref.Arch
		if ref.As != "" {
			if arch, err = schema.LoadModelAs(dir, ref.As); err != nil {
				return err
			}
		}
		computes, tf32, err := model.ParsePrecision(ref.Precision)
		if err != nil {
			return err
		}
		o := model.Options{Name: name, Tokenizer: words, Dir: dir, Arch: arch, Adapter: adapted, Scale: ref.Scale, Context: ref.Context, Cache: cache, CacheAt: ref.CacheAt,
			Weights: weights, Precision: computes, TF32: tf32,
			Backend: p.opt.Backend, Host: p.opt.Host, Offload: offload(ref), Compile: p.opt.Compile, Warn: p.opt.Warn}
		if p.opt.Progress != nil {
			o.Progress = func(done, total int64) { p.opt.Progress(ref.Name, done, total) }
		}
		m, err := model.Open(o)
		if err != nil {
			return err
		}
		p.models = append(p.models, m)
		p.known[name] = m
	}
	return model.ProveAdapters(p.models)
}

// offload is what a document says of layers that stay on the host.
func offload(ref schema.ModelRef) model.Offload {
	o := model.Offload{Auto: ref.Offload == "auto", At: ref.OffloadAt}
	if n, err := strconv.Atoi(ref.Offload); err == nil {
		o.Cut, o.Layers = true, n
	}
	return o
}

// parseCache finds the type of a cache: of single elements, or of blocks.
func parseCache(name string) (ir.DType, error) {
	if d, err := ir.ParseBlocked(name); err == nil {
		return d, nil
	}
	return ir.ParseDType(name)
}

// fill gives a call the values that are known.
func (p *Pipeline) fill(c *call, values map[string]stage.Value) {
	c.In, c.Maps = map[string]stage.Value{}, map[string]map[string]stage.Value{}
	for port, token := range c.from {
		c.In[port] = single(values[token])
	}
	for port, tokens := range c.maps {
		c.Maps[port] = map[string]stage.Value{}
		for name, token := range tokens {
			c.Maps[port][name] = single(values[token])
		}
	}
}

// single is the only one of several tensors, which can stand where one is wanted.
func single(v stage.Value) stage.Value {
	if list, ok := v.([]tensorfile.Tensor); ok && len(list) == 1 {
		return list[0]
	}
	return v
}

// readers counts who reads each token.
func (p *Pipeline) readers() map[string]int {
	n := map[string]int{}
	for _, c := range p.order {
		for _, token := range c.tokens() {
			n[token]++
		}
	}
	for _, out := range p.doc.Outputs {
		n[out.From]++
	}
	return n
}

func (c *call) tokens() []string {
	var list []string
	for _, port := range slices.Sorted(maps.Keys(c.from)) {
		list = append(list, c.from[port])
	}
	for _, port := range slices.Sorted(maps.Keys(c.maps)) {
		for _, name := range slices.Sorted(maps.Keys(c.maps[port])) {
			list = append(list, c.maps[port][name])
		}
	}
	return list
}
