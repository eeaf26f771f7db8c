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
		c := &converter{places: places, root: v, name: name}
		switch kind {
		case kindPipeline:
			d.Pipeline = c.pipeline(tree)
		case kindRecipe:
			pos, _ := c.pos(name)
			d.Recipe = &Recipe{Name: tree.text("name"), Fields: rest(tree), Pos: pos}
		case kindGraph:
			d.Models = append(d.Models, c.model(tree))
		}
		if d.Name == "" || kind != kindGraph {
			d.Name = name
		}
	}
	if d.Name == "" {
		return nil, Errors{{Pos: ir.Pos{File: e.source.name}, Msg: "holds no pipeline, recipe or model"}}
	}
	if d.Hash, err = r.hash(); err != nil {
		return nil, err
	}
	d.resolved, err = r.text(e.inst.PkgName)
	return d, err
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
