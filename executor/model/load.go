package model

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/session"
	"pipe.dev/executor/tensorfile"
)

// lengths are the numbers of positions for which a prompt is compiled; longer
// prompts go through the largest in turns.
var lengths = []int{1, 8, 16, 32, 128, 512}

// Text asks for what making text needs: plans that continue one sequence, for
// several lengths of prompts.
func (m *Model) Text() error {
	err := m.findContext()
	if err != nil {
		return err
	}
	if m.text, err = m.textPlans(m.context); err != nil {
		return err
	}
	m.want(m.text...)
	if m.sources, err = m.sourcePlans(m.context); err != nil {
		return err
	}
	m.want(m.sources...)
	return m.fitsTokenizer(m.text[0])
}

// TextAtMost is Text with at most so many positions of the key/value cache, as
// far as the model was trained on them; 0 means all of these.
func (m *Model) TextAtMost(positions int) error {
	m.opt.Context = positions
	if most := m.Trained(); most > 0 && positions > most {
		m.opt.Context = most
	}
	return m.Text()
}

// findContext settles how many positions a sequence may have.
func (m *Model) findContext() error {
	m.context = m.opt.Context
	if m.context == 0 {
		m.context = m.arch.Context
	}
	if m.context <= 0 {
		return fmt.Errorf("%s: config.json says no number of positions; set context", m.opt.Dir)
	}
	return nil
}

// fitsTokenizer compares the ids of the tokenizer with the logits of a plan.
func (m *Model) fitsTokenizer(p *plan.Plan) error {
	t, err := m.Tokenizer()
	if err != nil {
		return err
	}
	for _, out := range p.Outputs {
		if shape := out.Place.Type.Shape; out.Name == "out" && shape[len(shape)-1].N < t.Size() {
			return &VocabError{m.opt.Dir, t.Size(), shape[len(shape)-1].N}
		}
	}
	return nil
}

// VocabError says that a tokenizer has ids that the model lacks.
type VocabError struct {
	Dir            string
	Tokens, Logits int
}

func (e *VocabError) Error() string {
	return fmt.Sprintf("%s: tokenizer.json has ids up to %d, and the model has %d: they do not belong together", e.Dir, e.Tokens-1, e.Logits)
}

// MakesText reports whether Text was called.
func (m *Model) MakesText() bool { return len(m.text) > 0 }

func (m *Model) textPlans(context int) ([]*plan.Plan, error) {
	var list []*plan.Plan
	for _, n := range m.promptLengths(context) {
		p, err := m.stepPlan(1, n, context)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// promptLengths are the numbers of positions for which prompts are compiled. A
// text that is made of a source has no prompt but the ids that it begins with.
func (m *Model) promptLengths(context int) []int {
	if m.Start() != nil {
		return lengths[:1]
	}
	n := len(lengths)
	for n > 1 && lengths[n-1] > context {
		n--
	}
	return lengths[:n]
}

// step is the entry that continues sequences.
func (m *Model) step() plan.Entry { return plan.Entry{Name: "step", Cache: m.opt.Cache, Last: true} }

// stepPlan is a plan of a call that continues sequences.
func (m *Model) stepPlan(rows, size, context int) (*plan.Plan, error) {
	sizes := map[string]int{"batch": rows, "seq": size, "ctx": context}
	if m.Start() != nil {
		sizes["room"] = m.context
	}
	return m.plan(m.step(), sizes)
}

// Forward asks for a plan that runs the model once over whole sequences, and
// gives the values of the nodes in take besides its output.
func (m *Model) Forward(batch, seq int, take []string) (*plan.Plan, error) {
	return m.Call(map[string]int{"batch": batch, "seq": seq}, nil, take)
}

// Call is Forward for a model whose inputs have the named sizes. Of its outputs
// only those in only are computed, all if there are none. given are the inputs that
// there are; the plan has no others of those that may be absent.
func (m *Model) Call(sizes map[string]int, only, take []string, given ...string) (*plan.Plan, error) {
	p, err := m.plan(plan.Entry{Name: "forward", Only: only, Take: take, Given: m.optional(given)}, sizes)
	if err != nil {
		return nil, err
	}
	m.want(p)
	m.partial = m.partial || len(only) > 0
	return p, nil
}

// optional are those of the names that belong to inputs which may be absent, in
// the model's order.
func (m *Model) optional(names []string) []string {
	var list []string
	for _, n := range m.arch.Inputs() {
		if _, ok := n.Fields["absent"]; ok && slices.Contains(names, n.ID) {
			list = append(list, n.ID)
		}
	}
	return list
}

// WorkBytes is the size of the work arena on the device, which the plans share.
func (m *Model) WorkBytes() int64 { return session.WorkBytes(m.onSide(m.plans, &m.device)) }

// StateBytes is the memory on the device of the states of one kind of all plans.
func (m *Model) StateBytes(k ir.Kind) int64 {
	return m.device.stateBytes(m.onSide(m.plans, &m.device), k)
}

// PeakBytes is what the model will allocate or map on the device.
func (m *Model) PeakBytes() int64 {
	return m.StateBytes(ir.Weight) + m.StateBytes(ir.Cache) + m.WorkBytes()
}

// HostBytes is what the layers will allocate or map that stay on the host.
func (m *Model) HostBytes() int64 {
	plans := m.onSide(m.plans, &m.host)
	return m.host.stateBytes(plans, ir.Weight) + m.host.stateBytes(plans, ir.Cache) + session.WorkBytes(plans)
}

// Bytes is what the model has allocated or mapped on the device.
func (m *Model) Bytes() int64 { return m.device.bytes() }

// fetcher has the disk read weights while those before them are packed.
type fetcher struct {
	m     *Model
	list  []plan.State // that are still to be asked for
	bytes int64        // that were
}

// fetch asks for what is needed next, after done bytes.
func (f *fetcher) fetch(done int64) {
	const room = 128 << 20
	for ; len(f.list) > 0 && f.bytes < done+room; f.list = f.list[1:] {
		c, name := f.m.source(f.list[0].Path)
		c.Fetch(name)
		f.bytes += f.list[0].Bytes
	}
}

// stored lists the weights of plans that come from files, in the order in which
// they are read.
func (m *Model) stored(plans []*plan.Plan) []plan.State {
	var list []plan.State
	seen := map[string]bool{}
	for _, p := range plans {
		for _, s := range p.States {
			if _, computed := m.ratios(s.Path); s.Kind == ir.Weight && !computed && !seen[s.Path] {
				list, seen[s.Path] = append(list, s), true
			}
		}
	}
	return list
}

// load reads one state, if it is a weight that the store lacks, or computes it.
func (m *Model) load(to *session.Store, s plan.State, hear func(bytes int64)) error {
	l, ok := m.ratios(s.Path)
	if !ok {
		c, name := m.source(s.Path)
		return to.Load(c, func(string) string { return name }, []plan.State{s}, hear)
	}
	if _, ok := to.Tensor(s.Path); ok {
		return nil
	}
	values, err := m.adapter.Ratios(l, m.ckpt, m.tensorName(l.Path+".weight"))
	if err != nil {
		return err
	}
	hear(s.Bytes)
	return to.New(s, tensorfile.AppendFloats(nil, s.Type.DType, values...))
}

// session binds a plan once.
func (m *Model) session(p *plan.Plan) (*session.Session, error) {
	if s, ok := m.sessions[p]; ok {
		return s, nil
	}
	if !m.Held() {
		return nil, fmt.Errorf("%s is not loaded", m.opt.Dir)
	}
	if err := m.work(); err != nil {
		return nil, err
	}
	s, err := m.bind(p)
	if err != nil {
		return nil, err
	}
	m.sessions[p] = s
	return s, nil
}

// Generator returns what makes text. Text must have been asked for.
func (m *Model) Generator() (*decode.Generator, error) {
	list, err := m.sessionsOf(m.text)
	if err != nil {
		return nil, err
	}
	source, err := m.reader()
	if err != nil {
		return nil, err
	}
	return decode.New(list, m.context, source)
}
