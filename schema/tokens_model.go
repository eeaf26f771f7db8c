package schema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pipe.dev/compiler/ir"
)

// modelTokens are the tokens of a model's nodes, stacks not expanded.
type modelTokens struct {
	catalog *catalog
	nodes   map[string]*Node    // ops, by id
	alias   map[string][]string // tokens that stand for others: groups, stacks, what a copy reads
	order   []string
	errs    Errors
}

// checkModel finds tokens that nothing gives, nodes that are no operation,
// layer or graph, and nodes that read their own result.
func checkModel(m *Model, c *catalog) Errors {
	t := &modelTokens{catalog: c, nodes: map[string]*Node{}, alias: map[string][]string{}}
	t.gather(&m.Group)
	t.check(&m.Group)
	for _, o := range m.Outputs {
		t.want(o.Token, o.Pos)
	}
	circles := cycles(t.order, func(id string) []tokenReader {
		n := t.nodes[id]
		var out []tokenReader
		for _, r := range readers(c.ops[n.Op], n.Fields, n.Pos, n.At) {
			if n.Op == ir.OpCarry && r.token == n.Fields["next"] {
				continue // which a later step reads
			}
			for _, token := range t.resolve(r.token, 0) {
				out = append(out, tokenReader{pos: r.pos, token: token})
			}
		}
		return out
	})
	return append(t.errs, circles...)
}

func (t *modelTokens) gather(g *Group) {
	for i := range g.Nodes {
		n := &g.Nodes[i]
		switch {
		case n.Group != nil:
			t.alias[n.ID] = []string{n.Group.Out}
			t.gather(n.Group)
		case n.Repeat != nil:
			copies := n.ID + ".{i}"
			t.alias[copies+".in"] = []string{n.Repeat.X}
			for name, token := range n.Repeat.Beside {
				t.alias[copies+".in."+name] = []string{token}
			}
			for _, kind := range slices.Sorted(maps.Keys(n.Repeat.Bodies)) {
				body := n.Repeat.Bodies[kind]
				t.alias[n.ID] = append(t.alias[n.ID], body.Out)
				t.alias[copies] = append(t.alias[copies], body.Out)
				for name := range n.Repeat.Beside {
					t.alias[n.ID+"."+name] = append(t.alias[n.ID+"."+name], body.Gives[name])
				}
				t.gather(body)
			}
		default:
			if t.nodes[n.ID] == nil {
				t.order = append(t.order, n.ID)
			}
			t.nodes[n.ID] = n
		}
	}
}

// resolve follows groups and stacks to ops.
func (t *modelTokens) resolve(token string, depth int) []string {
	token = template(token)
	next, ok := t.alias[token]
	if !ok || depth > len(t.alias) {
		return []string{token}
	}
	var out []string
	for _, n := range next {
		out = append(out, t.resolve(n, depth+1)...)
	}
	return out
}

var index = regexp.MustCompile(`\.\d+(\.|$)`)

// template is a token without the name of an op's output, a copy's number
// replaced by {i}.
func template(token string) string {
	token, _, _ = strings.Cut(token, "#")
	return index.ReplaceAllString(token, ".{i}$1")
}

func (t *modelTokens) known(token string) bool {
	plain, _, _ := strings.Cut(token, "#")
	for _, s := range []string{plain, template(token)} {
		if t.nodes[s] != nil || t.alias[s] != nil {
			return true
		}
	}
	return false
}

// want checks that something has a token.
func (t *modelTokens) want(token string, pos ir.Pos) {
	if token == "" || t.known(token) {
		return
	}
	names := append(slices.Collect(maps.Keys(t.nodes)), slices.Collect(maps.Keys(t.alias))...)
	t.errs = append(t.errs, &Error{Pos: pos, Msg: noTokenPrefix + strconv.Quote(token), Hint: Suggest(token, names)})
}

func (t *modelTokens) check(g *Group) {
	t.want(g.Out, g.OutPos)
	for i := range g.Nodes {
		n := &g.Nodes[i]
		switch {
		case n.Group != nil:
			t.check(n.Group)
		case n.Repeat != nil:
			t.repeat(n)
		default:
			t.op(n)
		}
	}
}

// placed is where a field of a node is written, or the node.
func placed(n *Node, field string) ir.Pos {
	pos, ok := n.At[field]
	if !ok {
		pos = n.Pos
	}
	pos.Path = n.ID + "." + field
	return pos
}

func (t *modelTokens) op(n *Node) {
	d, ok := t.catalog.ops[n.Op]
	if !ok {
		e := &Error{Pos: n.Pos, Msg: "is no operation, layer or graph", Hint: "write op.#Linear & {...}, or another operation"}
		if n.Op != "" {
			e.Msg = fmt.Sprintf("there is no operation %q", n.Op)
			e.Hint = Suggest(n.Op, slices.Collect(maps.Keys(t.catalog.ops)))
		}
		t.errs = append(t.errs, e)
		return
	}
	for _, r := range readers(d, n.Fields, n.Pos, n.At) {
		t.want(r.token, r.pos)
	}
	t.want(n.Tied, placed(n, "tied"))
}

func (t *modelTokens) repeat(n *Node) {
	r := n.Repeat
	t.want(r.X, placed(n, "x"))
	for _, name := range slices.Sorted(maps.Keys(r.Beside)) {
		t.want(r.Beside[name], placed(n, "beside"))
	}
	kinds := slices.Sorted(maps.Keys(r.Bodies))
	for _, k := range r.Kinds {
		if r.Bodies[k] == nil {
			hint := Suggest(k, kinds)
			if hint == "" {
				hint = "there are " + strings.Join(kinds, ", ")
			}
			t.errs = append(t.errs, &Error{Pos: placed(n, "kinds"), Msg: fmt.Sprintf("kind %q has no body", k), Hint: hint})
		}
	}
	if len(r.Kinds) == 0 && len(kinds) != 1 {
		t.errs = append(t.errs, &Error{Pos: placed(n, "body"),
			Msg: fmt.Sprintf("has %d bodies and no kinds, which say where each is used", len(kinds))})
	}
	for _, k := range kinds {
		for _, name := range slices.Sorted(maps.Keys(r.Beside)) {
			if r.Bodies[k].Gives[name] == "" {
				t.errs = append(t.errs, &Error{Pos: placed(n, "body"), Msg: fmt.Sprintf("kind %q does not hand on %q, which flows beside x", k, name), Hint: "write gives: " + name + ": ... in it"})
			}
			t.want(r.Bodies[k].Gives[name], placed(n, "body"))
		}
		t.check(r.Bodies[k])
	}
}
