package model

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/session"
)

// Start are the ids that a text begins with, of a model that makes it of a
// source; nil if it continues what it is given.
func (m *Model) Start() []int32 { return m.arch.Start }

// sourceLengths are the numbers of ids for which reading a source is compiled:
// four times as many each, and as many as there is room for.
func sourceLengths(room int) []int {
	var list []int
	for n := 32; n < room; n *= 4 {
		list = append(list, n)
	}
	return append(list, room)
}

// sourcePlans are those that read a source, of at most so many ids; none for a
// model that reads none.
func (m *Model) sourcePlans(room int) ([]*plan.Plan, error) {
	if m.Start() == nil {
		return nil, nil
	}
	var list []*plan.Plan
	entry := plan.Entry{Name: "encode", Cache: m.opt.Cache, Encode: true}
	program, err := m.program(entry)
	if err != nil {
		return nil, err
	}
	lengths := sourceLengths(room)
	if !anyLength(program.Graph()) {
		lengths = lengths[:1]
	}
	for _, n := range lengths {
		p, err := m.plan(entry, map[string]int{"batch": 1, "source": n, "room": room})
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// anyLength reports whether sources may have several lengths.
func anyLength(g *ir.Graph) bool {
	return slices.ContainsFunc(g.Inputs, func(v ir.Value) bool {
		return slices.ContainsFunc(v.Type().Shape, func(d ir.Dim) bool { return d.Syms == "source" })
	})
}

// layout gives those of the weights that a program which reads a source shares
// with the one that makes text of it, whose plans were made before, on the same side of a cut.
func (m *Model) layout(e plan.Entry) func(path string) (ir.Layout, bool) {
	if !e.Encode {
		return nil
	}
	at := &m.device
	if e.Side == plan.Front {
		at = &m.host
	}
	lie := map[string]ir.Layout{}
	for _, p := range m.onSide(m.plans, at) {
		for _, s := range p.States {
			if s.Kind == ir.Weight {
				lie[s.Path] = s.Layout
			}
		}
	}
	return func(path string) (ir.Layout, bool) {
		l, ok := lie[path]
		return l, ok
	}
}

// reader returns what reads sources; nil for a model that reads none.
func (m *Model) reader() (*decode.Source, error) {
	if m.Start() == nil {
		return nil, nil
	}
	list, err := m.sessionsOf(m.sources)
	if err != nil {
		return nil, err
	}
	return decode.NewSource(list)
}

func (m *Model) sessionsOf(plans []*plan.Plan) ([]*session.Session, error) {
	var list []*session.Session
	for _, p := range plans {
		s, err := m.session(p)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// beams is what a search for likely texts needs.
type beams struct {
	plans   map[decode.Shape]*plan.Plan
	rows    int
	context int
}

// Beams asks for what a search with so many beams needs. positions is how many
// a text has at most, 0 if that is not known.
func (m *Model) Beams(rows, positions int) error {
	if err := m.planBeams(rows, positions); err != nil {
		return err
	}
	return m.fitsTokenizer(m.beams.plans[decode.Shape{Rows: rows, Size: 1}])
}

func (m *Model) planBeams(rows, positions int) error {
	if err := m.findContext(); err != nil {
		return err
	}
	program, err := m.program(m.step())
	if err != nil {
		return err
	}
	b := &beams{plans: map[decode.Shape]*plan.Plan{}, rows: rows, context: m.context}
	if positions > 0 && !program.Spans() {
		b.context = min(b.context, positions)
	}
	shapes := []decode.Shape{{Rows: rows, Size: 1}}
	for _, n := range m.promptLengths(b.context) {
		shapes = append(shapes, decode.Shape{Rows: 1, Size: n})
	}
	for _, s := range shapes {
		if b.plans[s], err = m.stepPlan(s.Rows, s.Size, b.context); err != nil {
			return err
		}
		m.want(b.plans[s])
	}
	if m.sources, err = m.sourcePlans(m.context); err != nil {
		return err
	}
	m.want(m.sources...)
	m.beams = b
	return nil
}

// Search returns what searches for likely texts. Beams must have been asked for.
func (m *Model) Search(o decode.BeamOptions) (*decode.Beams, error) {
	b := m.beams
	if b == nil || b.rows != o.Beams {
		return nil, fmt.Errorf("%s: no plan was asked for %d beams", m.opt.Name, o.Beams)
	}
	source, err := m.reader()
	if err != nil {
		return nil, err
	}
	return decode.NewBeams(decode.BatchOptions{
		Rows: b.rows, Context: b.context, Move: m.move(b.plans[decode.Shape{Rows: b.rows, Size: 1}]), Source: source,
		Session: func(s decode.Shape) (*session.Session, error) {
			p, ok := b.plans[s]
			if !ok {
				return nil, fmt.Errorf("no plan was asked for %d sequences of %d positions", s.Rows, s.Size)
			}
			return m.session(p)
		},
	}, o), nil
}
