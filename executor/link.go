package executor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/stage"
	"pipe.dev/schema"
)

// link decodes the stages, orders them, and checks the kinds along all edges.
func (p *Pipeline) link() error {
	for _, ref := range p.doc.Models {
		p.kinds["models."+ref.Name] = stage.Model
	}
	for _, in := range p.doc.Inputs {
		p.kinds["inputs."+in.Name] = inputKind(in.Type)
	}
	for i := range p.doc.Stages {
		s := &p.doc.Stages[i]
		d, ok := p.opt.Stages.Lookup(s.Stage)
		if !ok {
			return &schema.Error{Pos: s.Pos, Msg: fmt.Sprintf("there is no stage %q", s.Stage)}
		}
		a, err := attr.Decode(d.Attr, s.Fields)
		if err != nil {
			return &schema.Error{Pos: s.Pos, Msg: err.Error()}
		}
		c := &call{Call: stage.Call{ID: s.ID, Attr: a, Warn: p.opt.Warn, Reads: p.read, Progress: p.steps(s.ID), Out: p.opt.Out, Sounded: p.opt.Sounded}, def: d, doc: s, from: map[string]string{}, maps: map[string]map[string]string{}}
		if p.opt.Document.Hash != "" {
			c.Document = func(row, rows int, file string) (stage.Document, error) { return p.origin(c, row, rows, file) }
		}
		for _, port := range d.Ports {
			if list, ok := s.Fields[port.Name].(map[string]any); ok && port.Map {
				c.maps[port.Name] = map[string]string{}
				for name, token := range list {
					c.maps[port.Name][name], _ = token.(string)
				}
			} else if token, ok := s.Fields[port.Name].(string); ok || !port.Optional {
				c.from[port.Name] = token
			}
		}
		p.calls[s.ID], p.kinds[s.ID] = c, d.Result
	}
	visiting := map[string]bool{}
	for i := range p.doc.Stages {
		if err := p.visit(p.calls[p.doc.Stages[i].ID], visiting); err != nil {
			return err
		}
	}
	if err := p.findElements(); err != nil {
		return err
	}
	for _, out := range p.doc.Outputs {
		if kind, ok := p.kinds[out.From]; !ok || string(kind) != out.Type {
			return &schema.Error{Pos: out.Pos, Msg: fmt.Sprintf("is declared as %s, but %s gives %s", out.Type, out.From, orNothing(kind))}
		}
	}
	return nil
}

// read remembers a file that is read.
func (p *Pipeline) read(file string) { p.reads = append(p.reads, file) }

// steps is what a stage tells its steps to; nil if nobody hears.
func (p *Pipeline) steps(stage string) func(done, total int) {
	if p.opt.Steps == nil {
		return nil
	}
	return func(done, total int) { p.opt.Steps(stage, done, total) }
}

// visit orders calls, inputs first.
func (p *Pipeline) visit(c *call, visiting map[string]bool) error {
	if slices.Contains(p.order, c) {
		return nil
	}
	if visiting[c.ID] {
		return &schema.Error{Pos: c.doc.Pos, Msg: "reads its own result"}
	}
	visiting[c.ID] = true
	for _, port := range c.def.Ports {
		tokens := map[string]string{}
		if token, ok := c.from[port.Name]; ok {
			tokens[port.Name] = token
		}
		if port.Map {
			for name, token := range c.maps[port.Name] {
				tokens[port.Name+"."+name] = token
			}
		}
		for _, name := range slices.Sorted(maps.Keys(tokens)) {
			if err := p.edge(c, port, name, tokens[name]); err != nil {
				return err
			}
			if from := p.calls[tokens[name]]; from != nil {
				if err := p.visit(from, visiting); err != nil {
					return err
				}
			}
		}
	}
	p.order = append(p.order, c)
	return nil
}

// edge checks that what a port reads is of a kind that it accepts.
func (p *Pipeline) edge(c *call, port stage.Port, name, token string) error {
	kind := p.kinds[token]
	if slices.Contains(port.Kinds, kind) || kind == stage.Tensors && slices.Contains(port.Kinds, stage.Tensor) { // which may be one
		return nil
	}
	accepted := make([]string, len(port.Kinds))
	for i, k := range port.Kinds {
		accepted[i] = string(k)
	}
	pos, ok := c.doc.At[port.Name]
	if !ok {
		pos = c.doc.Pos
	}
	return &schema.Error{Pos: pos, Msg: fmt.Sprintf("%s reads %s, which gives %s, and wants %s",
		name, token, orNothing(kind), strings.Join(accepted, " or "))}
}

func orNothing(k stage.Kind) string {
	if k == "" {
		return "nothing"
	}
	return string(k)
}
