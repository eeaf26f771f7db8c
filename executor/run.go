package executor

import (
	"context"
	"maps"
	"slices"

	"pipe.dev/executor/model"
	"pipe.dev/executor/stage"
	"pipe.dev/schema"
)

// Run reads the weights, runs the stages and hands every output to emit, in
// the order of the document: values as stage.Kind says, texts perhaps as
// stage.Chunks that are still being made. A model is given back after the last stage that
// needs it, and so is a value.
func (p *Pipeline) Run(ctx context.Context, emit func(out schema.Output, v stage.Value) error) error {
	for _, m := range p.weighted() {
		if err := m.Prove(); err != nil {
			return err
		}
	}
	values := maps.Clone(p.known)
	readers := p.readers()
	each := &elementRun{elements: p.elements, p: p, ctx: ctx, values: values, readers: readers}
	for i, c := range p.order {
		if p.known[c.ID] != nil || p.elements.has(c) { // it ran early, or runs when its elements are pulled
			continue
		}
		if err := p.hold(ctx, i); err != nil {
			return err
		}
		p.fill(c, values)
		err := each.give(c)
		var v stage.Value
		if err == nil {
			v, err = c.run(ctx)
		}
		if err == nil && readers[c.ID] > 1 {
			v, err = stage.Collect(v) // what is read twice must be kept
		}
		if err != nil {
			return stageError(c.doc.Pos, true, err)
		}
		values[c.ID] = v
		v = nil
		if err := p.drop(i, values); err != nil {
			return err
		}
	}
	for _, out := range p.doc.Outputs {
		v := values[out.From]
		if p.elements.gives(out.From) {
			var err error
			if v, err = each.all(out.From); err != nil {
				return err
			}
		}
		if err := emit(out, v); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// run runs the stage, on whole tensors unless it takes them while they are made.
func (c *call) run(ctx context.Context) (stage.Value, error) {
	if !c.def.Flows {
		for _, in := range append(slices.Collect(maps.Values(c.Maps)), c.In) {
			for port, v := range in {
				flow, ok := v.(stage.Flow)
				if !ok {
					continue
				}
				whole, err := stage.Collect(flow)
				if err != nil {
					return nil, err
				}
				in[port] = single(whole)
			}
		}
	}
	return c.def.Run(ctx, &c.Call)
}

// hold reads the models that are first needed by a call; all of them before the first
// call, unless they are read one by one.
func (p *Pipeline) hold(ctx context.Context, i int) error {
	for _, m := range p.weighted() {
		if u := p.use(m); m.Held() || u.last < i || p.single && u.first > i {
			continue
		}
		if err := m.Read(ctx); err != nil {
			return err
		}
	}
	return nil
}

// drop gives back what no call after this one needs.
func (p *Pipeline) drop(i int, values map[string]stage.Value) error {
	for token := range values {
		if p.lastReader(token) <= i {
			delete(values, token)
		}
	}
	c := p.order[i]
	c.In, c.Maps = nil, nil
	for _, m := range p.weighted() {
		if p.use(m).last == i {
			if err := m.Release(); err != nil {
				return err
			}
		}
	}
	return nil
}

// weighted are the models whose weights are needed.
func (p *Pipeline) weighted() []*model.Model {
	var list []*model.Model
	for _, m := range p.models {
		if len(m.Plans()) > 0 {
			list = append(list, m)
		}
	}
	return list
}

// span is the first call that needs something, and the last: len(order) is the end of the run.
type span struct{ first, last int }

// use is where a model's weights are needed. A model that no call names is needed all the time.
func (p *Pipeline) use(m *model.Model) span {
	s := span{-1, -1}
	for i, c := range p.order {
		if c.def.Words || p.known[c.ID] != nil || !slices.ContainsFunc(c.tokens(), func(token string) bool { return p.known[token] == stage.Value(m) }) {
			continue
		}
		if s.last = i; s.first < 0 {
			s.first = i
		}
		if c.def.Lazy != nil && c.def.Lazy(c.Attr) || p.elements.has(c) {
			s.last = len(p.order)
			break
		}
	}
	if s.first < 0 {
		return span{0, len(p.order)}
	}
	return s
}

// lastReader is the last call that reads a token: that of the run's end for outputs and for models.
func (p *Pipeline) lastReader(token string) int {
	if _, ok := p.known[token].(*model.Model); ok {
		return len(p.order)
	}
	last := -1
	for _, out := range p.doc.Outputs {
		if out.From == token {
			return len(p.order)
		}
	}
	if p.elements.gives(token) {
		return len(p.order)
	}
	for i, c := range p.order {
		if slices.Contains(c.tokens(), token) {
			if last = i; p.elements.has(c) {
				return len(p.order)
			}
		}
	}
	return last
}
