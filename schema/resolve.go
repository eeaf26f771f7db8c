package schema

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
	case kindRecipe:
		tree = reduceRecipe(tree)
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

// reduceRecipe reduces the graph that a recipe trains, if it has one.
func reduceRecipe(o *object) *object {
	graph, ok := o.object("model").get("graph").(*object)
	if !ok {
		return o
	}
	model := o.object("model").without()
	model.set("graph", reduceModel(graph))
	out := o.without()
	out.set("model", model)
	return out
}

// modelText writes a model as a document of its own, of the name "model".
func modelText(tree *object, catalog *catalog) ([]byte, error) {
	r := &resolved{catalog: catalog}
	r.add("model", kindGraph, tree)
	return r.text("model")
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
			n = n.without("id", "out", "outs", "last")
		}
		nodes.set(name, n)
	}
	out := &object{}
	for _, name := range []string{"scan", "reverse", "steps"} {
		if x := o.get(name); x != nil && o.get("scan") != nil {
			out.set(name, x)
		}
	}
	out.set("nodes", nodes)
	out.set("out", o.get("out"))
	return out
}
