package schema

import (
	"fmt"

	"cuelang.org/go/cue"

	"pipe.dev/compiler/ir"
)

// document converts what was evaluated.
func (e *evaluation) document() (*Document, error) {
	d := &Document{File: e.source.name}
	places := newPlaces(e)
	catalog, err := newCatalog(e.files)
	if err != nil {
		return nil, err
	}
	r := &resolved{catalog: catalog}
	var errs Errors
	fields, err := e.value.Fields()
	if err != nil {
		return nil, err
	}
	for fields.Next() {
		name, v := fields.Selector().Unquoted(), fields.Value()
		kind := kindOf(v)
		if kind == "" {
			continue
		}
		tree, err := treeOf(v)
		if err != nil {
			return nil, err
		}
		r.add(name, kind, tree)
		errs = append(errs, d.add(&converter{places: places, root: v, name: name}, kind, tree, catalog)...)
		if d.Name == "" || kind != kindGraph {
			d.Name = name
		}
	}
	if d.Name == "" {
		return nil, e.noDocument(places).err()
	}
	if len(errs) > 0 {
		return nil, mergeUses(errs.sorted())
	}
	if d.Hash, err = r.hash(); err != nil {
		return nil, err
	}
	d.resolved, err = r.text(e.inst.PkgName)
	return d, err
}

// add converts one top-level field and checks its tokens. What is wrong is
// told in the document, even if a definition wrote it.
func (d *Document) add(c *converter, kind string, tree *object, catalog *catalog) Errors {
	errs := d.convert(c, kind, tree, catalog)
	for _, e := range errs {
		if isBuiltin(e.Pos.File) {
			path := e.Pos.Path
			e.Pos, _ = c.pos(path)
		}
	}
	return errs
}

func (d *Document) convert(c *converter, kind string, tree *object, catalog *catalog) Errors {
	switch kind {
	case kindPipeline:
		if d.Pipeline != nil {
			pos, _ := c.pos(c.name)
			return Errors{{Pos: pos, Msg: "is a second pipeline; a file holds one"}}
		}
		d.Pipeline = c.pipeline(tree)
		return checkPipeline(d.Pipeline, catalog)
	case kindRecipe, kindTokenizer:
		pos, _ := c.pos(c.name)
		if d.Recipe != nil || d.Tokenizer != nil {
			return Errors{{Pos: pos, Msg: "is a second recipe; a file holds one"}}
		}
		r := &Recipe{Name: tree.text("name"), Fields: rest(tree), Pos: pos, places: written(c.places.document, c.name), Models: map[string]*Model{}}
		if kind == kindTokenizer {
			d.Tokenizer = r
			return nil
		}
		d.Recipe = r
		var errs Errors
		d.Recipe.Model, errs = c.recipeModel("model", catalog, r.places)
		models := tree.object("models")
		for _, name := range models.keys {
			m, more := c.recipeModel("models."+name, catalog, r.places)
			if errs = append(errs, more...); m != nil {
				d.Recipe.Models[name] = m
			}
		}
		return errs
	case kindGraph:
		m := c.model(tree)
		d.Models = append(d.Models, m)
		return checkModel(m, catalog)
	}
	return nil
}

// recipeModel gives the architecture that config or graph of a model of a recipe
// describes, if it has one. at is its path in the recipe.
func (c *converter) recipeModel(at string, catalog *catalog, places map[string]ir.Pos) (*Model, Errors) {
	for _, of := range [][2]string{{at + ".#graph.model", at + ".config"}, {at + ".graph", at + ".graph"}} {
		path, field := of[0], of[1]
		v := c.root.LookupPath(cue.ParsePath(path))
		if !v.Exists() {
			continue
		}
		tree, err := treeOf(v)
		if err != nil {
			return nil, nil // what is missing is told elsewhere
		}
		pos, ok := places[field]
		if !ok {
			pos = places[at]
		}
		pos.Path = c.name + "." + at
		m := (&converter{places: c.places, root: v, name: c.name + "." + at, whole: pos}).model(tree)
		m.Name = c.name
		if path == at+".graph" {
			m.Text, _ = modelText(tree, catalog) // what is wrong is told with the recipe
			return m, checkModel(m, catalog)
		}
		return m, nil
	}
	return nil, nil
}

// tokenErrors checks tokens in what is valid of a document with mistakes.
func (e *evaluation) tokenErrors() Errors {
	catalog, err := newCatalog(e.files)
	if err != nil {
		return nil
	}
	var out Errors
	d := &Document{}
	for _, f := range documentFields(e.source.file) {
		v := e.value.LookupPath(cue.MakePath(cue.Str(fieldName(f))))
		kind := kindOf(v)
		tree, ok := lenientTree(v).(*object)
		if kind == "" || !ok {
			continue
		}
		c := &converter{places: newPlaces(e), root: v, name: fieldName(f)}
		out = append(out, d.add(c, kind, tree, catalog)...)
	}
	return out
}

// noDocument says what a file lacks to be a document.
func (e *evaluation) noDocument(places *places) Errors {
	const hint = "write NAME: pipeline.#Pipeline & {...}, train.#Recipe & {...}, train.#Tokenizer & {...} or op.#Model & {...}"
	if kind := kindOf(e.value); kind != "" {
		return Errors{{Pos: ir.Pos{File: e.source.name}, Msg: fmt.Sprintf("the file itself is a %s, want it in a field", kind), Hint: hint}}
	}
	var out Errors
	for _, f := range documentFields(e.source.file) {
		if f.Pos().IsValid() {
			out = append(out, &Error{Pos: at(f.Pos(), fieldName(f)), Msg: "is no pipeline, recipe or model", Hint: hint})
		}
	}
	if len(out) == 0 {
		out = Errors{{Pos: ir.Pos{File: e.source.name}, Msg: "holds no pipeline, recipe or model", Hint: hint}}
	}
	return out
}

// treeOf gives a concrete struct as a tree.
func treeOf(v cue.Value) (*object, error) {
	data, err := v.MarshalJSON()
	if err != nil {
		return nil, err
	}
	tree, err := parseTree(data)
	if err != nil {
		return nil, err
	}
	o, ok := tree.(*object)
	if !ok {
		return nil, fmt.Errorf("%v is no struct", v.Path())
	}
	return o, nil
}
