package schema

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"
)

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
		if f.kind == kindRecipe && f.tree.object("model").get("graph") != nil {
			imports = append(imports, importOf[kindGraph])
		}
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
			w.recipe(f.tree)
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

func (w *cueWriter) recipe(o *object) {
	w.fields(o, func(name string, x any) {
		if m, ok := x.(*object); name == "model" && ok {
			w.fields(m, func(name string, x any) {
				if name != "graph" {
					w.value(x)
					return
				}
				w.b.WriteString("op.#Model & ")
				w.group(x.(*object))
			})
			return
		}
		w.value(x)
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
		title := "op.#Graph & "
		if n.get("scan") != nil {
			title, n = "op.#Scan & ", n.without("scan")
		}
		w.b.WriteString(title)
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
