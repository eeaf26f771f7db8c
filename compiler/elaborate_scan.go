package compiler

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/schema"
)

// scanned is a scan of a document, once for each copy of what it stands in.
type scanned struct {
	group *schema.Group
	id    string
	at    where
	ops   []*instance // within it, without those of scans in it
}

// lastOutput is how tokens name what a carry is after the last step.
const lastOutput = "last"

// scanning is what an elaborator knows of scans.
type scanning struct {
	scan   *scanned // whose body it builds; nil for that of the model
	around *elaborator
	taken  map[ir.Value]ir.Value // what a step reads of the graph around
	first  int                   // inputs before those that are taken
	outer  []ir.Value            // those that are taken, as they are around
	made   map[*scanned]map[*instance]ir.Value
}

// across gives a value that a node reads which stands in another scan, or in none.
func (e *elaborator) across(at *instance, output string) (ir.Value, error) {
	given := at.node.Op == ir.OpStack || at.node.Op == ir.OpCarry && output == lastOutput
	switch {
	case at.scan != nil && at.scan.at.scan == e.scan && given:
		return e.scanOf(at)
	case at.scan == e.scan && given:
		return ir.Value{}, fmt.Errorf("%q is known only after the last step of scan %q, and is read within it", at.id, e.scan.id)
	case e.around != nil:
		v, err := e.around.across1(at, output)
		if err != nil {
			return v, err
		}
		return e.capture(v), nil
	}
	return ir.Value{}, fmt.Errorf("%q is one step of scan %q; outside of it, read an op.#Stack of it, or the last of an op.#Carry", at.id, at.scan.id)
}

// across1 is token for what is found already.
func (e *elaborator) across1(at *instance, output string) (ir.Value, error) {
	if at.scan != e.scan || output == lastOutput || at.node.Op == ir.OpStack {
		return e.across(at, output)
	}
	return e.result(at, output)
}

// capture is what a step reads of a value of the graph around.
func (e *elaborator) capture(v ir.Value) ir.Value {
	if got, ok := e.taken[v]; ok || !v.Valid() {
		return got
	}
	if n := v.Node; n.Op == "parameter" { // a weight is one in the body too
		e.Pos = n.Pos
		e.taken[v] = e.Apply(n.Op, n.Attr, e.capture(n.In[0]))[0]
		return e.taken[v]
	}
	name := op.ScanInput(e.first + len(e.outer))
	e.outer = append(e.outer, v)
	if v.Node.Op == ir.OpState {
		e.taken[v] = e.Graph.AddState(ir.State{Path: name, Kind: ir.Weight, Pos: v.Node.Pos}, v.Type()).Read
	} else {
		e.taken[v] = e.Graph.AddInput(name, v.Type(), v.Node.Pos)
	}
	return e.taken[v]
}

// scanOf builds the scan that a node gives a result of, and returns that.
func (e *elaborator) scanOf(at *instance) (ir.Value, error) {
	s := at.scan
	if e.made[s] == nil {
		results, err := e.buildScan(s)
		if err != nil {
			return ir.Value{}, placed(err, s.pos(), ir.OpScan)
		}
		if e.made == nil {
			e.made = map[*scanned]map[*instance]ir.Value{}
		}
		e.made[s] = results
	}
	v, ok := e.made[s][at]
	if !ok {
		return v, fmt.Errorf("scan %q reads its own result", s.id)
	}
	return v, nil
}

// allScans builds the scans that nothing reads too, so that mistakes in them are told.
func (e *elaborator) allScans() error {
	for _, s := range e.flat.scans {
		if s.at.scan != e.scan || s.at.call != nil || len(s.ops) == 0 {
			continue
		}
		_, carries, stacks := s.parts()
		given := slices.Concat(carries, stacks)
		if len(given) == 0 {
			return &op.Error{Pos: s.pos(), Op: ir.OpScan, Err: fmt.Errorf("gives nothing: it has neither an op.#Stack nor an op.#Carry")}
		}
		if _, err := e.scanOf(given[0]); err != nil {
			return err
		}
	}
	return nil
}

// pos is where the scan was written.
func (s *scanned) pos() ir.Pos {
	n := schema.Node{ID: s.group.ID, Pos: s.group.Scan.Pos}
	return (&instance{node: &n, id: s.id, where: s.at}).pos()
}

// buildScan builds a scan and gives its results, by the nodes that name them.
func (e *elaborator) buildScan(s *scanned) (map[*instance]ir.Value, error) {
	b := &elaborator{
		Builder: op.NewBuilder(e.Table), opt: e.opt, flat: e.flat,
		done: map[*instance][]ir.Value{}, doing: map[*instance]bool{}, attrs: e.attrs,
		scanning: scanning{scan: s, around: e, taken: map[ir.Value]ir.Value{}},
	}
	if e.made == nil {
		e.made = map[*scanned]map[*instance]ir.Value{}
	}
	e.made[s] = map[*instance]ir.Value{} // so that who reads its own result is told
	defer delete(e.made, s)
	rows, carries, stacks := s.parts()
	in, err := b.begin(rows, carries)
	if err != nil {
		return nil, err
	}
	attr := op.ScanAttr{Body: b.Graph, Rows: len(rows), Carries: len(carries), Reverse: s.group.Scan.Reverse}
	if steps := s.group.Scan.Steps; steps != "" {
		d, err := ir.ParseDim(steps)
		if err != nil {
			return nil, err
		}
		attr.Steps = op.MakeDims(d)
	} else if len(rows) == 0 {
		return nil, fmt.Errorf("has neither an op.#Row nor steps, so that nothing says how many steps there are")
	}
	for _, at := range s.ops { // all, so that a mistake in an unused node is told too
		if at.node.Op == ir.OpStack || at.call != nil {
			continue
		}
		if _, err := b.node(at); err != nil {
			return nil, err
		}
	}
	if err := b.allScans(); err != nil {
		return nil, err
	}
	if err := b.end(carries, stacks); err != nil {
		return nil, err
	}
	e.spans = e.spans || b.spans
	e.Pos = s.pos()
	out := e.Apply(ir.OpScan, attr, slices.Concat(in, b.outer)...)
	if e.Err() != nil {
		return nil, e.Err()
	}
	results := map[*instance]ir.Value{}
	for i, at := range slices.Concat(carries, stacks) {
		v := out[i]
		if i >= len(carries) {
			if v, err = e.moved(at, v, false); err != nil {
				return nil, err
			}
		}
		results[at] = v
	}
	return results, e.Err()
}

// parts lists the nodes by which a scan and its surroundings know each other.
func (s *scanned) parts() (rows, carries, stacks []*instance) {
	for _, at := range s.ops {
		switch at.node.Op {
		case ir.OpRow:
			rows = append(rows, at)
		case ir.OpCarry:
			carries = append(carries, at)
		case ir.OpStack:
			stacks = append(stacks, at)
		}
	}
	return rows, carries, stacks
}

// begin gives the rows and what is carried at first, and makes inputs of the body for them.
func (b *elaborator) begin(rows, carries []*instance) (in []ir.Value, err error) {
	b.first = len(rows) + len(carries)
	for i, at := range slices.Concat(rows, carries) {
		field := "start"
		if i < len(rows) {
			field = "x"
		}
		v, err := b.outside(at, field)
		if err == nil && i < len(rows) {
			v, err = b.around.moved(at, v, true)
		}
		if err != nil {
			return nil, placed(err, at.pos(), at.node.Op)
		}
		t := v.Type()
		if i < len(rows) {
			t = t.With(t.Shape[1:]...)
		}
		b.done[at] = []ir.Value{b.Graph.AddInput(op.ScanInput(i), t, at.pos())}
		in = append(in, v)
	}
	return in, nil
}

// outside is a value of the graph around that a node names.
func (b *elaborator) outside(at *instance, field string) (ir.Value, error) {
	text, _ := at.node.Fields[field].(string)
	return b.around.token(at.name(text))
}

// end makes outputs of the body.
func (b *elaborator) end(carries, stacks []*instance) error {
	for i, at := range slices.Concat(carries, stacks) {
		field := "next"
		if i >= len(carries) {
			field = "x"
		}
		text, _ := at.node.Fields[field].(string)
		v, err := b.token(at.name(text))
		if err != nil {
			return placed(err, at.pos(), at.node.Op)
		}
		if start := b.done[at]; i < len(carries) && !v.Type().Equal(start[0].Type()) {
			return placed(fmt.Errorf("starts as %v, and the next is %v", start[0].Type(), v.Type()), at.pos(), at.node.Op)
		}
		b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: at.id, Value: v})
	}
	return b.Err()
}

// moved puts the axis of positions of what a row reads first, or that of a stack
// where the document wants it.
func (e *elaborator) moved(at *instance, v ir.Value, first bool) (ir.Value, error) {
	attr, err := op.ScanAxis(at.node.Fields, v.Type().Rank())
	if err != nil || attr == 0 {
		return v, err
	}
	var perm []int
	for i := range v.Type().Rank() {
		if i != attr {
			perm = append(perm, i)
		}
	}
	if first {
		perm = slices.Insert(perm, 0, attr)
	} else {
		perm = perm[:0]
		for i := 1; i < v.Type().Rank(); i++ {
			perm = append(perm, i)
		}
		perm = slices.Insert(perm, attr, 0)
	}
	e.Pos = at.pos()
	return e.Transpose(v, perm...), e.Err()
}
