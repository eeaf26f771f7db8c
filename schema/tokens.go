package schema

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pipe.dev/compiler/ir"
)

// noTokenPrefix begins the message of a token that nothing has.
const noTokenPrefix = "nothing has the token "

// tokenReader is a field that reads a token.
type tokenReader struct {
	pos   ir.Pos
	token string
	model bool // of a model is wanted
}

// readers lists the tokens in the fields of a node, by the ports of its definition.
func readers(d definition, fields map[string]any, pos ir.Pos, places map[string]ir.Pos) []tokenReader {
	var out []tokenReader
	for _, port := range d.ports {
		at, ok := places[port.name]
		if !ok {
			at = pos
		}
		at.Path = pos.Path + "." + port.name
		add := func(at ir.Pos, x any) {
			if s, ok := x.(string); ok {
				out = append(out, tokenReader{at, s, port.model})
			}
		}
		switch x := fields[port.name].(type) {
		case string:
			add(at, x)
		case []any:
			for _, e := range x {
				add(at, e)
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(x)) {
				if port.dict {
					inner := at
					inner.Path += "." + name
					add(inner, x[name])
				}
			}
		}
	}
	return out
}

// checkPipeline finds tokens that nothing gives, models in place of data and
// the other way round, and stages that read their own result. What a stage
// accepts beyond that is the executor's to say.
func checkPipeline(p *Pipeline, c *catalog) Errors {
	var out Errors
	known := map[string]bool{}
	for _, in := range p.Inputs {
		known["inputs."+in.Name] = true
	}
	for _, m := range p.Models {
		known["models."+m.Name] = true
		if m.Arch != nil {
			out = append(out, checkModel(m.Arch, c)...)
		}
	}
	for _, s := range p.Stages {
		known[s.ID] = true
	}
	edges := map[string][]tokenReader{}
	for _, s := range p.Stages {
		d, ok := c.stages[s.Stage]
		if !ok {
			out = append(out, noStage(s, c))
			continue
		}
		for _, r := range readers(d, s.Fields, s.Pos, s.At) {
			edges[s.ID] = append(edges[s.ID], r)
			if e := checkToken(r, known); e != nil {
				out = append(out, e)
			}
		}
	}
	for _, o := range p.Outputs {
		if o.From == "" {
			continue
		}
		pos := o.Pos
		pos.Path += ".from"
		if e := checkToken(tokenReader{pos: pos, token: o.From}, known); e != nil {
			out = append(out, e)
		}
	}
	order := make([]string, len(p.Stages))
	for i, s := range p.Stages {
		order[i] = s.ID
	}
	return append(out, cycles(order, func(id string) []tokenReader { return edges[id] })...)
}

func noStage(s Stage, c *catalog) *Error {
	e := &Error{Pos: s.Pos, Msg: "is no stage", Hint: "write pipeline.#Tokenize & {...}, or another stage"}
	if s.Stage != "" {
		e.Msg = fmt.Sprintf("there is no stage %q", s.Stage)
		e.Hint = Suggest(s.Stage, slices.Collect(maps.Keys(c.stages)))
	}
	return e
}

// checkToken: r reads something that is there, and a model where one is wanted.
func checkToken(r tokenReader, known map[string]bool) *Error {
	if !known[r.token] {
		names := slices.Sorted(maps.Keys(known))
		hint := Suggest(r.token, names)
		if hint == "" {
			hint = "there are " + strings.Join(names, ", ")
		}
		return &Error{Pos: r.pos, Msg: noTokenPrefix + strconv.Quote(r.token), Hint: hint}
	}
	if isModel := strings.HasPrefix(r.token, "models."); isModel != r.model {
		if r.model {
			var models []string
			for _, name := range slices.Sorted(maps.Keys(known)) {
				if strings.HasPrefix(name, "models.") {
					models = append(models, name+".out")
				}
			}
			return &Error{Pos: r.pos, Msg: fmt.Sprintf("want a model, have %s", r.token), Hint: "there are " + strings.Join(models, ", ")}
		}
		return &Error{Pos: r.pos, Msg: fmt.Sprintf("want what a stage or an input gives, have the model %s", r.token)}
	}
	return nil
}

// cycles finds nodes that read their own result, one circle for each of them.
func cycles(order []string, reads func(id string) []tokenReader) Errors {
	const visiting, done = 1, 2
	var out Errors
	state := map[string]int{}
	told := map[string]bool{}
	var path []string
	var visit func(id string)
	visit = func(id string) {
		state[id] = visiting
		path = append(path, id)
		for _, r := range reads(id) {
			switch state[r.token] {
			case visiting:
				circle := append(slices.Clone(path[slices.Index(path, r.token):]), r.token)
				if !slices.ContainsFunc(circle, func(id string) bool { return told[id] }) {
					out = append(out, &Error{Pos: r.pos, Msg: "reads its own result: " + circleText(circle)})
				}
				for _, id := range circle {
					told[id] = true
				}
			case 0:
				if slices.Contains(order, r.token) {
					visit(r.token)
				}
			}
		}
		path = path[:len(path)-1]
		state[id] = done
	}
	for _, id := range order {
		if state[id] == 0 {
			visit(id)
		}
	}
	return out
}

// circleText names the nodes in the order in which data would flow, without
// what all names begin with.
func circleText(circle []string) string {
	slices.Reverse(circle)
	cut := 0
	for i := range circle[0] {
		if circle[0][i] == '.' && !slices.ContainsFunc(circle, func(id string) bool { return !strings.HasPrefix(id, circle[0][:i+1]) }) {
			cut = i + 1
		}
	}
	names := make([]string, len(circle))
	for i, id := range circle {
		names[i] = id[cut:]
	}
	return strings.Join(names, " -> ")
}
