package schema

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"pipe.dev/compiler/ir"
)

// The kinds of documents, as #kind says in their definitions.
const (
	kindPipeline  = "pipeline"
	kindRecipe    = "recipe"
	kindTokenizer = "tokenizer"
	kindGraph     = "graph"
)

// converter turns evaluated CUE into the Go values of document.go.
type converter struct {
	places *places
	root   cue.Value // the value of the document's top-level field
	name   string    // of that field
	whole  ir.Pos    // where a model is written, if that is known: it takes long to find
}

// kindOf says which kind of document a top-level field is, or "".
func kindOf(v cue.Value) string {
	kind, err := v.LookupPath(cue.MakePath(cue.Def("#kind"))).String()
	if err != nil {
		return ""
	}
	return kind
}

// pos is where the field at path below the root was written.
func (c *converter) pos(path string, selectors ...cue.Selector) (ir.Pos, *ast.Field) {
	name := c.name
	v := c.root
	if n := len(selectors); n > 0 {
		name = selectors[n-1].Unquoted()
		v = v.LookupPath(cue.MakePath(selectors...))
	}
	f := c.places.written(v, name)
	if f == nil {
		return ir.Pos{Path: path}, nil
	}
	return at(f.Pos(), path), f
}

func (c *converter) pipeline(o *object) *Pipeline {
	pos, _ := c.pos(c.name)
	p := &Pipeline{Name: o.text("name"), Pos: pos}
	inputs := o.object("inputs")
	for _, name := range inputs.keys {
		in := inputs.object(name)
		pos, f := c.pos("inputs."+name, cue.Str("inputs"), cue.Str(name))
		p.Inputs = append(p.Inputs, Input{Name: name, Type: in.text("type"), Doc: comment(f), Value: plain(in.get("value")), Pos: pos})
	}
	models := o.object("models")
	for _, name := range models.keys {
		m := models.object(name)
		pos, _ := c.pos("models."+name, cue.Str("models"), cue.Str(name))
		cache, _ := c.pos("models."+name+".cache", cue.Str("models"), cue.Str(name), cue.Str("cache"))
		offload, _ := c.pos("models."+name+".offload", cue.Str("models"), cue.Str(name), cue.Str("offload"))
		ref := ModelRef{
			Name: name, From: c.here(m.text("from")), Arch: c.arch(m, name), As: m.text("as"), Tokenizer: m.text("tokenizer"), Pos: pos,
			Context: m.int("context"), Cache: m.text("cache"), CacheAt: cache, Weights: c.formats(m, name), Adapter: m.text("adapter"), Scale: amount(m.get("adapter_scale")),
			Offload: wordOrNumber(m.get("offload")), OffloadAt: offload, Precision: m.text("precision"),
		}
		p.Models = append(p.Models, ref)
	}
	if f := o.object("folder"); len(f.keys) > 0 {
		p.Folder = &Folder{Path: c.here(f.text("path")), Classes: f.texts("classes")}
		p.Folder.Documents, p.Folder.Absent = f.textMap("documents"), f.textMap("absent")
	}
	nodes := o.object("nodes")
	for _, name := range nodes.keys {
		n := nodes.object(name)
		pos, f := c.pos("nodes."+name, cue.Str("nodes"), cue.Str(name))
		p.Stages = append(p.Stages, Stage{
			ID: n.text("id"), Stage: n.text("stage"), Fields: rest(n, "id", "stage", "out"),
			Pos: pos, At: fieldsOf(f, pos.Path),
		})
	}
	outputs := o.object("outputs")
	for _, name := range outputs.keys {
		out := outputs.object(name)
		pos, _ := c.pos("outputs."+name, cue.Str("outputs"), cue.Str(name))
		p.Outputs = append(p.Outputs, Output{Name: name, From: out.text("from"), Type: out.text("type"), Pos: pos})
	}
	return p
}

// wordOrNumber is a text or a number of a document, as it writes it.
func wordOrNumber(x any) string {
	switch x := x.(type) {
	case string:
		return x
	case json.Number:
		return x.String()
	}
	return ""
}

// amount is a number of a document, 0 if it is none.
func amount(x any) float64 {
	n, _ := x.(json.Number)
	f, _ := n.Float64()
	return f
}

// arch is the model that a pipeline itself describes; nil if it does not.
func (c *converter) arch(m *object, name string) *Model {
	if m.get("arch") == nil {
		return nil
	}
	v := c.root.LookupPath(cue.MakePath(cue.Str("models"), cue.Str(name), cue.Str("arch")))
	return (&converter{places: c.places, root: v, name: "models." + name + ".arch"}).model(m.object("arch"))
}

// here replaces "{here}" at the front of a path by the folder of the document.
func (c *converter) here(path string) string {
	rest, ok := strings.CutPrefix(path, "{here}")
	if !ok {
		return path
	}
	return filepath.Join(filepath.Dir(c.places.document.Filename), rest)
}

// formats reads what a model of a pipeline says of its weights.
func (c *converter) formats(m *object, model string) Formats {
	f, layers := Formats{Default: m.text("weights")}, m.object("layer_weights")
	for _, pattern := range layers.keys {
		pos, _ := c.pos("models."+model+".layer_weights."+strconv.Quote(pattern),
			cue.Str("models"), cue.Str(model), cue.Str("layer_weights"), cue.Str(pattern))
		f.Layers = append(f.Layers, LayerFormat{Pattern: pattern, Format: layers.text(pattern), Pos: pos})
	}
	return f
}

// rest is what o holds besides keys.
func rest(o *object, keys ...string) map[string]any {
	m := map[string]any{}
	for _, k := range o.keys {
		if !slices.Contains(keys, k) {
			m[k] = plain(o.fields[k])
		}
	}
	return m
}

// comment is the text of the comment above a field.
func comment(f *ast.Field) string {
	if f == nil {
		return ""
	}
	var words []string
	for _, g := range ast.Comments(f) {
		if g.Doc || g.Position == 0 {
			words = append(words, strings.Fields(g.Text())...)
		}
	}
	return strings.Join(words, " ")
}

func (c *converter) model(o *object) *Model {
	pos := c.whole
	if pos.File == "" {
		pos, _ = c.pos(c.name)
	}
	m := &Model{
		Name: c.name, Context: o.int("context"), Pos: pos,
		Ignore: o.texts("ignore"), Prefixes: o.texts("prefixes"),
		Group: *c.group(o, nil),
	}
	m.Aliases = o.textMap("aliases")
	outputs := o.object("outputs")
	for _, name := range outputs.keys {
		pos, _ := c.pos("outputs."+name, cue.Str("outputs"), cue.Str(name))
		m.Outputs = append(m.Outputs, NamedToken{name, outputs.text(name), pos})
	}
	start, _ := o.get("start").([]any)
	for _, x := range start {
		if id, ok := x.(json.Number); ok {
			n, _ := id.Int64()
			m.Start = append(m.Start, int32(n))
		}
	}
	config := o.object("cfg")
	if len(config.keys) == 0 {
		config = o.object("config")
	}
	if len(config.keys) > 0 {
		m.Config = rest(config)
		m.Arch = config.text("model_type")
		m.Unread = unread(c.root.LookupPath(cue.ParsePath("config")))
	}
	return m
}

// group converts a graph or layer, whose value stands at path below the root.
func (c *converter) group(o *object, path []cue.Selector) *Group {
	g := &Group{ID: o.text("id"), Out: o.text("out"), Gives: o.textMap("gives")}
	g.OutPos, _ = c.pos(strings.TrimPrefix(g.ID+".out", "."), append(slices.Clone(path), cue.Str("out"))...)
	if scan, _ := o.get("scan").(bool); scan {
		g.Scan = &Scan{}
		g.Scan.Reverse, _ = o.get("reverse").(bool)
		if steps := o.get("steps"); steps != nil {
			g.Scan.Steps = fmt.Sprint(plain(steps))
		}
		g.Scan.Pos, _ = c.pos(g.ID, path...)
	}
	nodes := o.object("nodes")
	for _, name := range nodes.keys {
		below := append(slices.Clone(path), cue.Str("nodes"), cue.Str(name))
		g.Nodes = append(g.Nodes, c.node(nodes.object(name), below))
	}
	return g
}

func (c *converter) node(o *object, path []cue.Selector) Node {
	pos, f := c.pos(o.text("id"), path...)
	n := Node{ID: o.text("id"), Pos: pos, At: fieldsOf(f, pos.Path)}
	switch {
	case o.get("nodes") != nil:
		n.Group = c.group(o, path)
	case o.text("op") == "repeat":
		n.Repeat = c.repeat(o, path)
	default:
		n.Op, n.Param, n.Tied = o.text("op"), o.text("param"), o.text("tied")
		n.Fields = rest(o, "id", "op", "out", "param", "tied")
	}
	return n
}

func (c *converter) repeat(o *object, path []cue.Selector) *Repeat {
	r := &Repeat{N: o.int("n"), X: o.text("x"), Beside: o.textMap("beside"), Kinds: o.texts("kinds"), Bodies: map[string]*Group{}}
	bodies := o.object("body")
	for _, kind := range bodies.keys {
		below := append(slices.Clone(path), cue.Str("body"), cue.Str(kind))
		r.Bodies[kind] = c.group(bodies.object(kind), below)
	}
	return r
}
