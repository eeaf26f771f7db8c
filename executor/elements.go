package executor

import (
	"context"
	"fmt"
	"slices"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/image"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

// elements are the calls that run once for each element of a stage.Each, one element after the other:
// those between the stage that gives them and those that gather. The first that gathers pulls
// them, so that what it makes of the first element is there before the second is begun.
type elements struct {
	source *call
	calls  []*call
}

// has reports whether a call runs once for each element.
func (e *elements) has(c *call) bool { return e != nil && slices.Contains(e.calls, c) }

// gives reports whether a token is a value for each element.
func (e *elements) gives(token string) bool {
	return e != nil && (token == e.source.ID || slices.ContainsFunc(e.calls, func(c *call) bool { return c.ID == token }))
}

// findElements finds them, and has those that gather, and what reads these, run last.
func (p *Pipeline) findElements() error {
	var last []*call
	late := func(c *call) bool {
		return slices.ContainsFunc(last, func(l *call) bool { return slices.Contains(c.tokens(), l.ID) })
	}
	for _, c := range p.order {
		fail := func(format string, args ...any) error {
			return &schema.Error{Pos: c.doc.Pos, Msg: fmt.Sprintf(format, args...)}
		}
		var reads []string
		for _, token := range c.tokens() {
			if p.elements.gives(token) && !slices.Contains(reads, token) {
				reads = append(reads, token)
			}
		}
		switch {
		case c.def.Elements && (p.elements != nil || late(c)):
			return fail("gives elements, and there are those of another stage")
		case c.def.Elements:
			p.elements = &elements{source: c}
		case len(reads) > 0 && c.def.Gathers, late(c) && len(reads) == 0:
			last = append(last, c)
		case len(reads) > 0 && late(c):
			return fail("runs once for each element, and reads what is there when all are gathered")
		case len(reads) > 0:
			p.elements.calls = append(p.elements.calls, c)
		}
	}
	p.order = append(slices.DeleteFunc(p.order, func(c *call) bool { return slices.Contains(last, c) }), last...)
	return nil
}

// elementRun runs the calls of elements.
type elementRun struct {
	*elements
	p       *Pipeline
	ctx     context.Context
	values  map[string]stage.Value   // of other calls
	readers map[string]int           // of each token
	kept    map[string][]stage.Value // by token: that of each element, once they ran
}

// pull gives the values of a token while they are made; those that others read, too, are kept.
func (r *elementRun) pull(token string) stage.Each {
	if r.kept != nil {
		return stage.EachOf(r.kept[token])
	}
	return stage.Each{Values: func(yield func(stage.Value, error) bool) {
		r.kept = map[string][]stage.Value{}
		source, ok := r.values[r.source.ID].(stage.Each)
		if !ok {
			yield(nil, fmt.Errorf("%s gives no elements", r.source.ID))
			return
		}
		for v, err := range source.Values {
			var own map[string]stage.Value
			if err == nil {
				own, err = r.once(v, token)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(own[token], nil) {
				return
			}
		}
	}}
}

// give has a call that gathers read the values of its elements: while they are made, if it reads one
// token; of several when all are there.
func (r *elementRun) give(c *call) error {
	tokens := map[string]string{}
	for port, token := range c.from {
		if r.gives(token) {
			tokens[port] = token
		}
	}
	if len(tokens) > 1 {
		if err := r.runAll(); err != nil {
			return err
		}
	}
	for port, token := range tokens {
		c.In[port] = r.pull(token)
	}
	return nil
}

// runAll runs all elements that did not run yet.
func (r *elementRun) runAll() error {
	if r.kept != nil {
		return nil
	}
	for _, err := range r.pull("").Values {
		if err != nil {
			return err
		}
	}
	return nil
}

// once runs the calls for one element.
func (r *elementRun) once(element stage.Value, pulled string) (map[string]stage.Value, error) {
	own := map[string]stage.Value{r.source.ID: element}
	for token, v := range r.values {
		if token != r.source.ID {
			own[token] = v
		}
	}
	r.keep(r.source.ID, element)
	for _, c := range r.calls {
		r.p.fill(c, own)
		v, err := c.run(r.ctx)
		if err == nil && (r.readers[c.ID] > 1 || c.ID != pulled && !r.inner(c.ID)) {
			v, err = stage.Collect(v)
		}
		if err != nil {
			return nil, stageError(c.doc.Pos, true, err)
		}
		own[c.ID] = v
		c.In, c.Maps = nil, nil
		if r.readers[c.ID] > 1 || c.ID != pulled {
			r.keep(c.ID, v)
		}
	}
	return own, nil
}

// inner reports whether only calls of elements read a token.
func (r *elementRun) inner(token string) bool {
	for _, out := range r.p.doc.Outputs {
		if out.From == token {
			return false
		}
	}
	return !slices.ContainsFunc(r.p.order, func(c *call) bool { return !r.has(c) && slices.Contains(c.tokens(), token) })
}

// keep remembers what is read when all elements ran.
func (r *elementRun) keep(token string, v stage.Value) {
	if !r.inner(token) {
		r.kept[token] = append(r.kept[token], v)
	}
}

// all are the values of a token as one, for an output: that of a single element as it is.
func (r *elementRun) all(token string) (stage.Value, error) {
	if err := r.runAll(); err != nil {
		return nil, err
	}
	list := r.kept[token]
	if len(list) == 1 {
		return list[0], nil
	}
	return joined(token, list)
}

// joined makes one value of several.
func joined(token string, list []stage.Value) (stage.Value, error) {
	var texts []string
	var tensors []tensorfile.Tensor
	var pictures []*image.Picture
	var clips []*audio.Clip
	for i, v := range list {
		switch v := v.(type) {
		case string:
			texts = append(texts, v)
		case []string:
			texts = append(texts, v...)
		case tensorfile.Tensor:
			v.Name = fmt.Sprintf("%s-%d", v.Name, i)
			tensors = append(tensors, v)
		case []tensorfile.Tensor:
			for _, t := range v {
				t.Name = fmt.Sprintf("%s-%d", t.Name, i)
				tensors = append(tensors, t)
			}
		case []*image.Picture:
			pictures = append(pictures, v...)
		case []*audio.Clip:
			clips = append(clips, v...)
		default:
			return nil, fmt.Errorf("%s is %s for each element, which can't be an output", token, stage.KindOf(v))
		}
	}
	switch {
	case texts != nil:
		return texts, nil
	case tensors != nil:
		return tensors, nil
	case pictures != nil:
		return pictures, nil
	}
	return clips, nil
}
