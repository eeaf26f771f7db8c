package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"
)

// Resolved is the document with every default filled in and every reference
// replaced by its value, as CUE. It loads again, to the same Hash.
func (d *Document) Resolved() []byte { return d.resolved }

// resolved is a document reduced to what it means, in the order in which it
// was written.
type resolved struct {
	catalog *catalog
	fields  []resolvedField
}

type resolvedField struct {
	name, kind string
	tree       *object
}

func (r *resolved) add(name, kind string, tree *object) {
	switch kind {
	case kindPipeline:
		tree = reducePipeline(tree)
	case kindGraph:
		tree = reduceModel(tree)
	}
	r.fields = append(r.fields, resolvedField{name, kind, tree})
}

// hash names the content: names, kinds and values, numbers in one spelling.
func (r *resolved) hash() (string, error) {
	all := map[string]any{}
	for _, f := range r.fields {
		all[f.name] = map[string]any{"kind": f.kind, "value": canonical(plain(f.tree))}
	}
	data, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(data)), nil
}

// canonical gives equal numbers one spelling: 2e-4, 0.0002 and 0.00020.
func canonical(x any) any {
	switch x := x.(type) {
	case map[string]any:
		for k := range x {
			x[k] = canonical(x[k])
		}
	case []any:
		for i := range x {
			x[i] = canonical(x[i])
		}
	case json.Number:
		if strings.ContainsAny(x.String(), ".eE") {
			if f, err := x.Float64(); err == nil {
				return f
			}
		}
	}
	return x
}

// without copies o but for some keys.
func (o *object) without(keys ...string) *object {
	out := &object{}
	for _, k := range o.keys {
		if !slices.Contains(keys, k) {
			out.set(k, o.fields[k])
		}
	}
	return out
}

// reducePipeline drops what the definitions compute: ids and tokens.
func reducePipeline(o *object) *object {
	out := o.without()
	for _, part := range []string{"inputs", "models", "nodes"} {
		group := &object{}
		for _, name := range o.object(part).keys {
			one := o.object(part).object(name).without("id", "out")
			if arch := one.object("arch"); part == "models" && one.get("arch") != nil {
				one.set("arch", reduceModel(arch))
			}
			group.set(name, one)
		}
		out.set(part, group)
	}
	return out
}

// reduceModel drops parameters of layers, whose effect the nodes show.
func reduceModel(o *object) *object {
	out := reduceGroup(o)
	config := o.object("cfg")
	if len(config.keys) == 0 {
		config = o.object("config")
	}
	if len(config.keys) > 0 {
		out.set("config", config)
	}
	if aliases := o.object("aliases"); len(aliases.keys) > 0 {
		out.set("aliases", aliases)
	}
	for _, name := range []string{"context", "outputs"} {
		if c := o.get(name); c != nil {
			out.set(name, c)
		}
	}
	for _, list := range []string{"ignore", "prefixes"} {
		out.set(list, []any{})
		if x := o.get(list); x != nil {
			out.set(list, x)
		}
	}
	return out
}

func reduceGroup(o *object) *object {
	nodes := &object{}
	for _, name := range o.object("nodes").keys {
		n := o.object("nodes").object(name)
		switch {
		case n.get("nodes") != nil:
			n = reduceGroup(n)
		case n.text("op") == "repeat":
			bodies := &object{}
			for _, kind := range n.object("body").keys {
				bodies.set(kind, reduceGroup(n.object("body").object(kind)))
			}
			n = n.without("id", "out", "body")
			n.set("body", bodies)
		default:
			n = n.without("id", "out", "outs")
		}
		nodes.set(name, n)
	}
	out := &object{}
	out.set("nodes", nodes)
	out.set("out", o.get("out"))
	return out
}

// The packages that resolved documents import, and the names they have there.
var importOf = map[string]string{kindPipeline: "schema/pipeline", kindRecipe: "schema/train", kindTokenizer: "schema/train", kindGraph: "schema/op"}

// text writes the document as CUE.
func (r *resolved) text(pkg string) ([]byte, error) {
	var b bytes.Buffer
	if pkg != "" {
		fmt.Fprintf(&b, "package %s\n\n", pkg)
	}
	var imports []string
	for _, f := range r.fields {
		imports = append(imports, importOf[f.kind])
		for _, name := range f.tree.object("models").keys {
			if f.kind == kindPipeline && f.tree.object("models").object(name).get("arch") != nil {
				imports = append(imports, importOf[kindGraph])
			}
		}
	}
	slices.Sort(imports)
	for _, path := range slices.Compact(imports) {
		fmt.Fprintf(&b, "import %q\n", modulePath+"/"+path)
	}
	w := &cueWriter{b: &b, catalog: r.catalog}
	for _, f := range r.fields {
		b.WriteString("\n" + w.label(f.name) + ": ")
		switch f.kind {
		case kindPipeline:
			b.WriteString("pipeline.#Pipeline & ")
			w.pipeline(f.tree)
		case kindRecipe:
			b.WriteString("train.#Recipe & ")
			w.value(f.tree)
		case kindTokenizer:
			b.WriteString("train.#Tokenizer & ")
			w.value(f.tree)
		case kindGraph:
			b.WriteString("op.#Model & ")
			w.group(f.tree)
		}
		b.WriteString("\n")
	}
	return format.Source(b.Bytes())
}

// cueWriter writes trees as CUE. Definitions are named where they are known,
// so that what a person changes is checked as in any document.
type cueWriter struct {
	b       *bytes.Buffer
	catalog *catalog
}

// label quotes names that are no identifiers, or that would hide an import.
func (w *cueWriter) label(name string) string {
	if ast.IsValidIdent(name) && !slices.Contains([]string{"op", "pipeline", "train"}, name) &&
		!strings.HasPrefix(name, "_") && !strings.HasPrefix(name, "#") {
		return name
	}
	return literal.String.Quote(name)
}

func (w *cueWriter) value(x any) {
	switch x := x.(type) {
	case *object:
		w.fields(x, func(_ string, x any) { w.value(x) })
	case []any:
		w.b.WriteString("[")
		for i, e := range x {
			if i > 0 {
				w.b.WriteString(", ")
			}
			w.value(e)
		}
		w.b.WriteString("]")
	case string:
		w.b.WriteString(literal.String.Quote(x))
	case nil:
		w.b.WriteString("null")
	default: // json.Number, bool
		fmt.Fprint(w.b, x)
	}
}

func (w *cueWriter) fields(o *object, each func(name string, x any)) {
	w.b.WriteString("{\n")
	for _, k := range o.keys {
		w.b.WriteString(w.label(k) + ": ")
		each(k, o.fields[k])
		w.b.WriteString("\n")
	}
	w.b.WriteString("}")
}

func (w *cueWriter) pipeline(o *object) {
	w.fields(o, func(name string, x any) {
		if name == "models" {
			w.fields(x.(*object), func(_ string, x any) { w.modelRef(x.(*object)) })
			return
		}
		if name != "nodes" {
			w.value(x)
			return
		}
		w.fields(o.object("nodes"), func(_ string, x any) {
			if d, ok := w.catalog.stages[x.(*object).text("stage")]; ok {
				w.b.WriteString("pipeline." + d.title + " & ")
			}
			w.value(x.(*object).without("stage"))
		})
	})
}

// modelRef writes a model of a pipeline, with the nodes that the document gives it.
func (w *cueWriter) modelRef(o *object) {
	w.fields(o, func(name string, x any) {
		if name != "arch" {
			w.value(x)
			return
		}
		w.b.WriteString("op.#Model & ")
		w.group(x.(*object))
	})
}

func (w *cueWriter) group(o *object) {
	w.fields(o, func(name string, x any) {
		if name != "nodes" {
			w.value(x)
			return
		}
		w.fields(x.(*object), func(_ string, x any) { w.node(x.(*object)) })
	})
}

func (w *cueWriter) node(n *object) {
	if n.get("nodes") != nil {
		w.b.WriteString("op.#Graph & ")
		w.group(n)
		return
	}
	name := n.text("op")
	if d, ok := w.catalog.ops[name]; ok {
		w.b.WriteString("op." + d.title + " & ")
		n = n.without("op")
	}
	if name != "repeat" {
		w.value(n)
		return
	}
	w.fields(n, func(name string, x any) {
		if name != "body" {
			w.value(x)
			return
		}
		w.fields(x.(*object), func(_ string, x any) {
			w.b.WriteString("op.#Layer & ")
			w.group(x.(*object))
		})
	})
}
