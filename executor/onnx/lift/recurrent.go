package lift

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/onnx"
)

func recurrentRows() map[string]func(c *call) []*value {
	return map[string]func(c *call) []*value{"LSTM": recurrent(4, lstm), "GRU": recurrent(3, gru), "RNN": recurrent(1, rnn)}
}

// cell is one direction of a recurrent layer.
type cell struct {
	*call
	hidden int
	acts   []string
	w, r   *value // [gates*hidden, in] and [gates*hidden, hidden]
	wb, rb *value // [gates*hidden], or nil
	peep   *value // [3*hidden] of an LSTM, or nil
	linear bool   // of a GRU: the reset gate acts behind the product
}

// step gives the next states from the part that x contributes to all gates,
// [batch, gates*hidden], and the states.
type step func(l *cell, gates *value, states []*value) []*value

// recurrent writes a layer out step by step; the part of x is one product.
func recurrent(gates int, f step) func(c *call) []*value {
	return func(c *call) []*value {
		x := c.in(0)
		c.rank(x, "input", 3)
		if c.int("layout", 0) != 0 {
			x = c.transpose(x, 1, 0, 2)
		}
		if v := c.given(4); v != nil {
			fail("its input sequence_lens is not imported")
		}
		if c.n.Attribute("clip") != nil || c.int("input_forget", 0) != 0 {
			fail("clip and input_forget are not imported")
		}
		if !x.typ.Shape[0].Known() || x.typ.Shape[0].N > maxSteps {
			c.wrong(errorf("runs over %v steps; want a known number up to %d", x.typ.Shape[0], maxSteps))
		}
		ways := []bool{false}
		switch way := c.text("direction", "forward"); way {
		case "forward":
		case "reverse":
			ways = []bool{true}
		case "bidirectional":
			ways = []bool{false, true}
		default:
			fail("its direction is %s", onnx.Show(way))
		}
		return c.directions(x, gates, ways, f)
	}
}

func (c *call) directions(x *value, gates int, ways []bool, f step) []*value {
	states := 1
	if gates == 4 {
		states = 2
	}
	layout := c.int("layout", 0) != 0
	last := make([][]*value, states)
	steps := make([][]*value, x.typ.Shape[0].N)
	for d, back := range ways {
		l := c.cell(d, len(ways), gates)
		state := l.initial(x, d, states, layout)
		at := op.LinearAttr{OutFeatures: gates * l.hidden, Bias: l.wb != nil, Transpose: false}
		in := c.params("linear", at, c.unusedPrefix("input"), []string{"weight", "bias"}, []*value{x}, l.w, l.wb)
		for i := range steps {
			k := i
			if back {
				k = len(steps) - 1 - i
			}
			part := c.reshape(c.cutAxis(in, 0, k, k+1), in.typ.Shape[1:]...)
			state = f(l, part, state)
			h := state[0]
			steps[k] = append(steps[k], c.reshape(h, ir.D(1), ir.D(1), h.typ.Shape[0], h.typ.Shape[1]))
		}
		for s, v := range state {
			last[s] = append(last[s], c.reshape(v, ir.D(1), v.typ.Shape[0], v.typ.Shape[1]))
		}
	}
	var out []*value
	if c.asked(0) {
		var all []*value
		for _, dirs := range steps {
			all = append(all, c.concat(1, dirs...))
		}
		y := c.concat(0, all...)
		if layout {
			y = c.transpose(y, 2, 0, 1, 3)
		}
		out = append(out, y)
	} else {
		out = append(out, nil)
	}
	for _, dirs := range last {
		v := c.concat(0, dirs...)
		if layout {
			v = c.transpose(v, 1, 0, 2)
		}
		out = append(out, v)
	}
	return out
}

// unusedPrefix is a name for weights that the node makes.
func (c *call) unusedPrefix(what string) string { return c.id + "_" + what }

// part is row d of a constant, and of that the elements from start to stop.
func (c *call) part(v *value, d, start, stop int) *value {
	if !c.known(v) {
		fail("a weight of it is no constant, or has more than %d elements", maxLoad)
	}
	v = c.reshape(c.cutAxis(v, 0, d, d+1), v.typ.Shape[1:]...)
	return c.cutAxis(v, 0, start, stop)
}

// cell reads the weights of direction d.
func (c *call) cell(d, ways, gates int) *cell {
	w, r, b := c.in(1), c.in(2), c.given(3)
	c.rank(w, "weight", 3)
	c.rank(r, "recurrence weight", 3)
	if !w.typ.Known() || !r.typ.Known() {
		fail("its weights are %v and %v", w.typ, r.typ)
	}
	h := r.typ.Shape[2].N
	n := gates * h
	if w.typ.Shape[0].N != ways || r.typ.Shape[0].N != ways || w.typ.Shape[1].N != n || r.typ.Shape[1].N != n || h < 1 {
		fail("its weights are %v and %v, for %d directions", w.typ, r.typ, ways)
	}
	l := &cell{call: c, hidden: h, w: c.part(w, d, 0, n), r: c.part(r, d, 0, n), linear: c.int("linear_before_reset", 0) != 0}
	if b != nil {
		if b.typ.Rank() != 2 || b.typ.Shape[1] != ir.D(2*n) {
			fail("its bias is %v, want [%d,%d]", b.typ, ways, 2*n)
		}
		l.wb, l.rb = c.part(b, d, 0, n), c.part(b, d, n, 2*n)
	}
	if p := c.given(7); p != nil && gates == 4 {
		if p.typ.Rank() != 2 || p.typ.Shape[1] != ir.D(3*h) {
			fail("its peepholes are %v, want [%d,%d]", p.typ, ways, 3*h)
		}
		l.peep = c.part(p, d, 0, 3*h)
	}
	usual := map[int][]string{4: {"Sigmoid", "Tanh", "Tanh"}, 3: {"Sigmoid", "Tanh"}, 1: {"Tanh"}}[gates]
	l.acts = usual
	if a := c.attr("activations", onnx.Texts); a != nil && len(a.Texts) > 0 {
		if len(a.Texts) != len(usual)*ways {
			fail("has %d activations for %d directions", len(a.Texts), ways)
		}
		l.acts = a.Texts[d*len(usual) : (d+1)*len(usual)]
	}
	return l
}

// initial is the states before the first step.
func (l *cell) initial(x *value, d, n int, layout bool) []*value {
	var out []*value
	batch := x.typ.Shape[1]
	for i := range n {
		v := l.given(5 + i)
		if v == nil {
			out = append(out, l.filled(scalar(ir.F32, 0), batch, ir.D(l.hidden)))
			continue
		}
		l.rank(v, "initial state", 3)
		if layout {
			v = l.transpose(v, 1, 0, 2)
		}
		out = append(out, l.reshape(l.cutAxis(v, 0, d, d+1), batch, ir.D(l.hidden)))
	}
	return out
}

// apply is an activation function of a cell.
func (l *cell) apply(i int, x *value) *value {
	switch l.acts[i] {
	case "Sigmoid":
		return l.op("sigmoid", nil, x)
	case "Tanh":
		return l.op("tanh", nil, x)
	case "Relu":
		return l.act("relu", x)
	case "HardSigmoid":
		return hardSigmoid(l.call, x, 0.2, 0.5)
	case "Softsign":
		return softsign(l.call, x)
	}
	fail("its activation %s is not imported", onnx.Show(l.acts[i]))
	return nil
}

// gate is part i of the gates, [batch, hidden].
func (l *cell) gate(x *value, i int) *value { return l.cutAxis(x, 1, i*l.hidden, (i+1)*l.hidden) }

// recur multiplies a state by rows of the recurrence weight.
func (l *cell) recur(h *value, from, to int) *value {
	w, b := l.cutAxis(l.r, 0, from*l.hidden, to*l.hidden), l.rb
	if b != nil {
		b = l.cutAxis(b, 0, from*l.hidden, to*l.hidden)
	}
	if from == 0 && to*l.hidden == l.r.typ.Shape[0].N {
		w, b = l.r, l.rb
	}
	at := op.LinearAttr{OutFeatures: (to - from) * l.hidden, Bias: b != nil}
	return l.params("linear", at, l.unusedPrefix("state"), []string{"weight", "bias"}, []*value{h}, w, b)
}

// lstm: i, o, f and c are the gates; c' = f c + i g(c), h' = o h(c').
func lstm(l *cell, x *value, s []*value) []*value {
	h, old := s[0], s[1]
	all := l.add(x, l.recur(h, 0, 4))
	look := func(i int, v, c *value) *value {
		if l.peep == nil {
			return v
		}
		return l.add(v, l.mul(c, l.cutAxis(l.peep, 0, i*l.hidden, (i+1)*l.hidden)))
	}
	i := l.apply(0, look(0, l.gate(all, 0), old))
	f := l.apply(0, look(2, l.gate(all, 2), old))
	next := l.add(l.mul(f, old), l.mul(i, l.apply(1, l.gate(all, 3))))
	o := l.apply(0, look(1, l.gate(all, 1), next))
	return []*value{l.mul(o, l.apply(2, next)), next}
}

// gru: z, r and h are the gates; h' = (1-z) g(h) + z h.
func gru(l *cell, x *value, s []*value) []*value {
	h := s[0]
	two := l.recur(h, 0, 2)
	z := l.apply(0, l.add(l.gate(x, 0), l.gate(two, 0)))
	r := l.apply(0, l.add(l.gate(x, 1), l.gate(two, 1)))
	var n *value
	if l.linear {
		n = l.mul(r, l.recur(h, 2, 3))
	} else {
		n = l.recur(l.mul(r, h), 2, 3)
	}
	n = l.apply(1, l.add(l.gate(x, 2), n))
	return []*value{l.add(l.mul(l.sub(like(z, 1), z), n), l.mul(z, h))}
}

// rnn: h' = f(x + h).
func rnn(l *cell, x *value, s []*value) []*value {
	return []*value{l.apply(0, l.add(x, l.recur(s[0], 0, 1)))}
}
