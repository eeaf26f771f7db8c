package compiler

import (
	"fmt"
	"strconv"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/schema"
)

// instance is one op of a document after stacks were expanded.
type instance struct {
	node *schema.Node // the template; several instances share it
	id   string
	where
}

// where is where a node stands: in which copies of stacks, in which call of
// a model, nil for none, and in which scan.
type where struct {
	sub  substitution
	call *call
	scan *scanned // the innermost scan around it, nil for none
}

// name is an id or a token of a document as it is called at the place.
func (p where) name(text string) string {
	text = p.sub.apply(text)
	if p.call != nil && text != "" {
		text = p.call.id + "." + text
	}
	return text
}

// param is what the names of weights at the place begin with.
func (p where) param(text string) string {
	text = p.sub.apply(text)
	if p.call != nil {
		text = p.call.model + "." + text
	}
	return text
}

// substitution replaces "{i}" in ids and tokens by the index of each stack
// around a node, outermost first.
type substitution []string

func (s substitution) apply(text string) string {
	for _, index := range s {
		text = strings.Replace(text, "{i}", index, 1)
	}
	return text
}

// flat is a model as a list of ops.
type flat struct {
	ops   []*instance // outside of scans
	scans []*scanned
	byID  map[string]*instance
	alias map[string]string // token of a group, a repeat's input or an input that another node gives -> token
	out   string
}

func flatten(m *schema.Model) (*flat, error) {
	f := &flat{byID: map[string]*instance{}, alias: map[string]string{}, out: m.Out}
	return f, f.group(&m.Group, where{})
}

func (f *flat) group(g *schema.Group, p where) error {
	for i := range g.Nodes {
		n := &g.Nodes[i]
		id := p.name(n.ID)
		switch {
		case n.Group != nil:
			f.alias[id] = p.name(n.Group.Out)
			inner := p
			if n.Group.Scan != nil {
				inner.scan = &scanned{group: n.Group, id: id, at: p}
				f.scans = append(f.scans, inner.scan)
			}
			if err := f.group(n.Group, inner); err != nil {
				return err
			}
		case n.Repeat != nil:
			if err := f.repeat(n, id, p); err != nil {
				return err
			}
		case n.Op == ir.OpCall:
			if err := f.called(n, id, p); err != nil {
				return err
			}
		default:
			if f.byID[id] != nil {
				return &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("two nodes are called %q", id)}
			}
			if from := n.From(); from != "" {
				f.alias[id] = p.name(from)
				continue
			}
			at := &instance{node: n, id: id, where: p}
			if n.Op == ir.OpInput { // the caller gives it once, not for each step
				at.scan = nil
			}
			if at.scan != nil {
				at.scan.ops = append(at.scan.ops, at)
			} else {
				f.ops = append(f.ops, at)
			}
			f.byID[id] = at
		}
	}
	return nil
}

func (f *flat) repeat(n *schema.Node, id string, p where) error {
	r := n.Repeat
	previous, beside := p.name(r.X), map[string]string{}
	for name, token := range r.Beside {
		beside[name] = p.name(token)
	}
	for i := range r.N {
		var body *schema.Group
		if len(r.Kinds) > 0 {
			kind := r.Kinds[i%len(r.Kinds)]
			if body = r.Bodies[kind]; body == nil {
				return &op.Error{Pos: n.Pos, Op: "repeat", Err: fmt.Errorf("kind %q has no body", kind)}
			}
		} else if len(r.Bodies) != 1 {
			return &op.Error{Pos: n.Pos, Op: "repeat", Err: fmt.Errorf("%d bodies but no kinds to choose by", len(r.Bodies))}
		}
		for _, only := range r.Bodies {
			if body == nil {
				body = only
			}
		}
		index := strconv.Itoa(i)
		inner := where{append(append(substitution{}, p.sub...), index), p.call, p.scan}
		f.alias[id+"."+index+".in"] = previous
		for name, token := range beside {
			f.alias[id+"."+index+".in."+name] = token
		}
		if err := f.group(body, inner); err != nil {
			return err
		}
		previous = inner.name(body.Out)
		f.alias[id+"."+index] = previous
		for name := range beside {
			if body.Gives[name] == "" {
				return &op.Error{Pos: n.Pos, Op: "repeat", Err: fmt.Errorf("a body does not hand on %q", name)}
			}
			beside[name] = inner.name(body.Gives[name])
		}
	}
	f.alias[id] = previous
	for name, token := range beside {
		f.alias[id+"."+name] = token
	}
	return nil
}

// resolve follows groups to the op whose output a token names. The token of a
// further output of an op is "id#name".
func (f *flat) resolve(token string) (at *instance, output string, err error) {
	for hops := 0; ; hops++ {
		next, ok := f.alias[token]
		if !ok {
			break
		}
		if hops > len(f.alias) {
			return nil, "", fmt.Errorf("%q refers to itself", token)
		}
		token = next
	}
	id, output, _ := strings.Cut(token, "#")
	if at = f.byID[id]; at == nil {
		return nil, "", fmt.Errorf("there is no node %q%s", token, f.hint(token))
	}
	return at, output, nil
}

func (f *flat) hint(token string) string {
	var known []string
	for id := range f.byID {
		known = append(known, id)
	}
	for id := range f.alias {
		if !strings.HasSuffix(id, ".in") {
			known = append(known, id)
		}
	}
	if s := schema.Suggest(token, known); s != "" {
		return " (" + s + ")"
	}
	return ""
}

// pos is where the instance was written, under its own path.
func (at *instance) pos() ir.Pos {
	p := at.node.Pos
	p.Path = at.id
	if outer, _, ok := strings.Cut(at.node.ID, "{i}"); ok && len(at.sub) > 0 {
		p.Block = where{call: at.call}.name(outer + at.sub[0])
	}
	return p
}
