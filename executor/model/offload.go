package model

import (
	"fmt"
	"maps"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/session"
	"pipe.dev/schema"
)

// Offload says which layers stay on the host, where the device has memory of its own.
type Offload struct {
	Auto   bool // as few as make a run fit
	Cut    bool // so many:
	Layers int  // the first of the stack, and what comes before them
	At     ir.Pos
}

// madeOf is what a plan was made of.
type madeOf struct {
	entry plan.Entry
	sizes map[string]int
}

// cutAsAsked cuts the model where the document says so. A device that shares the
// memory of the host has nothing to gain.
func (m *Model) cutAsAsked() {
	o := m.opt.Offload
	if m.opt.Host == nil || !o.Auto && !o.Cut {
		return
	}
	m.cut, m.layers = o.Cut, o.Layers
}

// cutPlan makes the plans of both sides for sizes.
func (m *Model) cutPlan(e plan.Entry, sizes map[string]int) (*plan.Plan, error) {
	key := fmt.Sprintf("%d %+v %v", m.layers, e, sizes) // maps are printed in order
	if p, ok := m.joined[key]; ok {
		return p, nil
	}
	whole, err := m.program(e) // it finds what is wrong in the model
	if err != nil {
		return nil, err
	}
	layers, err := m.layersOf(e, whole.Graph())
	if err != nil {
		return nil, err
	}
	var parts [2]*plan.Plan
	for i, side := range [...]plan.Side{plan.Front, plan.Back} {
		of := e
		of.Side, of.Layers = side, layers
		program, err := m.program(of)
		if err != nil {
			return nil, m.uncut(fmt.Sprintf("can't be: %v", err))
		}
		if parts[i], err = program.Plan(sizes); err != nil {
			return nil, err
		}
	}
	p, err := plan.Join(parts[0], parts[1])
	if err != nil {
		return nil, err
	}
	order := whole.Graph().Outputs
	place := func(x plan.Port) int {
		return slices.IndexFunc(order, func(o ir.Output) bool { return o.Name == x.Name })
	}
	slices.SortStableFunc(p.Outputs, func(a, b plan.Port) int { return place(a) - place(b) })
	p.Sizes = maps.Clone(sizes)
	m.joined[key], m.made[p] = p, madeOf{e, sizes}
	return p, nil
}

// stack lists the layers of all that an entry is a part of: one that reads a source, or makes
// text of one, is of a model whose encoder comes first.
func (m *Model) stack(e plan.Entry) ([]string, error) {
	if m.Start() != nil && e.Cache != ir.Invalid {
		e = plan.Entry{Name: "forward"}
	}
	program, err := m.program(e)
	if err != nil {
		return nil, err
	}
	return program.Graph().Blocks(), nil
}

// layersOf is how many of the layers of an entry's graph are left on the host.
func (m *Model) layersOf(e plan.Entry, g *ir.Graph) (int, error) {
	stack, err := m.stack(e)
	if err != nil {
		return 0, err
	}
	if len(stack) == 0 {
		return 0, m.uncut("can't be: the model has no stack of layers, as op.#Repeat makes")
	}
	if m.layers > len(stack) {
		return 0, m.uncut(fmt.Sprintf("is %d, and the model has a stack of %d layers", m.layers, len(stack)))
	}
	own, n := g.Blocks(), 0
	for i, b := range own {
		if !slices.Contains(stack[:m.layers], b) {
			continue
		}
		if n++; n != i+1 {
			return 0, m.uncut(fmt.Sprintf("can't be: %s comes before %s where a source is read or text is made, and behind it in the model", own[n-1], b))
		}
	}
	return n, nil
}

// uncut says at the line that asks for a cut why there can't be one.
func (m *Model) uncut(why string) error {
	if at := m.opt.Offload.At; at.Line > 0 {
		return &schema.Error{Pos: at, Msg: "offload " + why}
	}
	return fmt.Errorf("%s: offload %s", m.opt.Name, why)
}

// Offload cuts the model behind the first layers of its stack: those stay on the
// host. Plans are made anew; whoever else holds old ones must ask for his again before
// a run.
func (m *Model) Offload(layers int) error {
	old := m.plans
	m.cut, m.layers, m.plans = true, layers, nil
	now := map[*plan.Plan]*plan.Plan{}
	for _, p := range old {
		from := m.made[p]
		made, err := m.plan(from.entry, from.sizes)
		if err != nil {
			return err
		}
		m.plans = append(m.plans, made)
		m.asked[made], now[p] = m.asked[p], made
	}
	for _, list := range [][]*plan.Plan{m.text, m.sources} {
		for i, p := range list {
			list[i] = now[p]
		}
	}
	for _, of := range []map[decode.Shape]*plan.Plan{m.batchPlans(), m.beamPlans()} {
		for shape, p := range of {
			of[shape] = now[p]
		}
	}
	return nil
}

func (m *Model) batchPlans() map[decode.Shape]*plan.Plan {
	if m.batch == nil {
		return nil
	}
	return m.batch.plans
}

func (m *Model) beamPlans() map[decode.Shape]*plan.Plan {
	if m.beams == nil {
		return nil
	}
	return m.beams.plans
}

// ShrinkTo leaves as few layers on the host as make the model need at most limit bytes
// of the device's memory. It reports whether that is enough.
func (m *Model) ShrinkTo(limit int64) (bool, error) {
	for m.PeakBytes() > limit {
		if ok, err := m.Shrink(m.PeakBytes() - limit); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// Offloads reports whether layers may be left on the host to make a run fit.
func (m *Model) Offloads() bool { return m.opt.Host != nil && m.opt.Offload.Auto }

// Layers are how many of the stack there are, and how many of them stay on the host;
// cut is false for a model that lies on the device as a whole.
func (m *Model) Layers() (layers, host int, cut bool) {
	for _, p := range m.plans {
		if stack, err := m.stack(m.made[p].entry); err == nil {
			layers = max(layers, len(stack))
		}
	}
	return layers, m.layers, m.cut
}

// Shrink leaves as few more layers on the host as take at least so many bytes off the
// device, all of them if that is not enough. It reports whether there were any.
func (m *Model) Shrink(bytes int64) (bool, error) {
	layers, host, cut := m.Layers()
	if layers == 0 || cut && host == layers {
		return false, nil
	}
	if !cut { // what comes before the layers
		return true, m.Offload(0)
	}
	for _, l := range m.Placed() {
		if l.Host || l.Name == "" {
			continue
		}
		host++
		if bytes -= l.Weights + l.Cache; bytes <= 0 {
			break
		}
	}
	return true, m.Offload(min(max(host, m.layers+1), layers))
}

// Layer is a layer of a model, or what comes before or behind them all, and where
// it lies.
type Layer struct {
	Name           string // the path; "" for what comes before the first, and behind the last
	Host           bool
	Weights, Cache int64 // bytes
}

// Placed lists the layers, those on the host first.
func (m *Model) Placed() []Layer {
	var list []Layer
	for _, s := range []*side{&m.host, &m.device} {
		var in []Layer
		for _, st := range session.Largest(m.onSide(m.plans, s)) {
			i := slices.IndexFunc(in, func(l Layer) bool { return l.Name == st.Pos.Block })
			if i < 0 {
				i, in = len(in), append(in, Layer{Name: st.Pos.Block, Host: s == &m.host})
			}
			if st.Kind == ir.Weight {
				in[i].Weights += st.Bytes
			} else {
				in[i].Cache += st.Bytes
			}
		}
		list = append(list, m.inOrder(in, s == &m.host)...)
	}
	return list
}

// inOrder sorts the layers of a side as the model runs: what is no layer is first on
// the host, and last on the device.
func (m *Model) inOrder(list []Layer, host bool) []Layer {
	var order []string
	for _, p := range m.plans {
		stack, err := m.stack(m.made[p].entry)
		if err != nil {
			continue
		}
		for _, b := range stack {
			if !slices.Contains(order, b) {
				order = append(order, b)
			}
		}
	}
	place := func(l Layer) int {
		if l.Name == "" && !host {
			return len(order)
		}
		return slices.Index(order, l.Name)
	}
	slices.SortStableFunc(list, func(a, b Layer) int { return place(a) - place(b) })
	return list
}
