package lift

import (
	"maps"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/onnx"
)

func controlRows() map[string]func(c *call) []*value {
	return map[string]func(c *call) []*value{"If": branch, "Loop": loop}
}

// body lifts a branch or body and returns its outputs.
func (c *call) body(g *onnx.Graph, in []*value) []*value {
	if c.calls++; c.calls > maxCalls {
		fail("has functions, branches and loops more than %d deep", maxCalls)
	}
	defer func() { c.calls-- }()
	s := newScope(c.scope, g, c.scope.opset)
	for i, v := range in {
		if i < len(g.Inputs) {
			s.values[g.Inputs[i].Name] = v
		}
	}
	id := c.id
	c.graph(s, g)
	c.at, c.id = c.n, id
	var out []*value
	for i := range g.Outputs {
		out = append(out, (&call{c.lifter, s, &onnx.Node{In: []string{g.Outputs[i].Name}}}).in(0))
	}
	return out
}

func (c *call) bodyOf(name string) *onnx.Graph {
	a := c.attr(name, onnx.Body)
	if a == nil || len(a.Graphs) != 1 {
		fail("lacks its %s", name)
	}
	return a.Graphs[0]
}

// branch lifts the branch that is taken; where that is known when the model runs,
// both, if their results have the same shapes.
func branch(c *call) []*value {
	cond := c.in(0)
	yes, no := c.bodyOf("then_branch"), c.bodyOf("else_branch")
	if c.numeric(cond) && len(cond.nums) == 1 {
		if cond.nums[0] != 0 {
			return c.body(yes, nil)
		}
		return c.body(no, nil)
	}
	a, b := c.either(yes), c.either(no)
	if len(a) != len(b) {
		fail("its branches have %d and %d results", len(a), len(b))
	}
	var out []*value
	for i := range a {
		if !a[i].typ.Equal(b[i].typ) {
			c.wrong(errorf("its condition follows from inputs, and its branches give %v and %v: --fix NAME=NUMBER makes an input known", a[i].typ, b[i].typ))
		}
		x, y := c.plainNumbers(a[i]), c.plainNumbers(b[i])
		out = append(out, c.cast(c.op("select", nil, c.reshape(cond), x, y), a[i].typ.DType))
	}
	return out
}

// either lifts a branch of which it is not known whether it is taken. What is
// wrong in it may be no fault: only one of both may suit the sizes.
func (c *call) either(g *onnx.Graph) []*value {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		e, ours := r.(errLift)
		if !ours {
			panic(r)
		}
		err := c.placed(e.err)
		c.at = c.n
		fail("its condition follows from inputs (--fix NAME=NUMBER makes one known), and a branch is not imported: %w", err)
	}()
	return c.body(g, nil)
}

// loop writes a loop out whose length is known.
func loop(c *call) []*value {
	g := c.bodyOf("body")
	trips, going := c.given(0), c.given(1)
	if trips == nil || !c.numeric(trips) || len(trips.nums) != 1 || trips.nums[0] > maxSteps {
		fail("has no known number of rounds up to %d", maxSteps)
	}
	var state []*value
	for i := 2; i < len(c.n.In); i++ {
		state = append(state, c.in(i))
	}
	if len(g.Inputs) != len(state)+2 || len(g.Outputs) < len(state)+1 {
		fail("its body has %d inputs and %d outputs for %d values", len(g.Inputs), len(g.Outputs), len(state))
	}
	scans := make([][]*value, len(g.Outputs)-len(state)-1)
	for i := range int(trips.nums[0]) {
		if going != nil && !c.numeric(going) {
			fail("ends by a condition that follows from inputs")
		}
		if going != nil && going.nums[0] == 0 {
			break
		}
		again := going
		if again == nil {
			again = scalar(ir.Bool, 1)
		}
		out := c.body(g, append([]*value{scalar(ir.I32, float64(i)), again}, state...))
		going, state = out[0], out[1:1+len(state)]
		for k, v := range out[1+len(state):] {
			scans[k] = append(scans[k], c.reshape(v, append([]ir.Dim{ir.D(1)}, v.typ.Shape...)...))
		}
	}
	for _, vs := range scans {
		if len(vs) == 0 {
			state = append(state, nil)
			continue
		}
		state = append(state, c.concat(0, vs...))
	}
	return state
}

// function lifts a call of a function of the model.
func (l *lifter) function(c *call, f *onnx.Function) []*value {
	if l.calls++; l.calls > maxCalls {
		fail("has functions more than %d deep", maxCalls)
	}
	defer func() { l.calls-- }()
	opset := f.Opsets[""]
	if opset == 0 {
		opset = c.scope.opset
	}
	s := newScope(nil, &f.Graph, opset)
	for _, name := range f.Outputs {
		s.uses[name]++
	}
	s.attrs = map[string]*onnx.Attribute{}
	for i := range f.Defaults {
		s.attrs[f.Defaults[i].Name] = &f.Defaults[i]
	}
	for _, name := range slices.Concat(f.Attributes, slices.Sorted(maps.Keys(s.attrs))) {
		a := c.n.Attribute(name)
		if a != nil && a.Ref != "" {
			a = c.scope.attrs[a.Ref]
		}
		if a != nil {
			s.attrs[name] = a
		}
	}
	for i, name := range f.Inputs {
		if v := c.given(i); v != nil {
			s.values[name] = v
		}
	}
	id := l.id
	l.graph(s, &f.Graph)
	l.at, l.id = c.n, id
	var out []*value
	for _, name := range f.Outputs {
		out = append(out, s.lookup(name))
	}
	return out
}
