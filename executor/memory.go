package executor

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/image"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
)

// Moment is what a run holds in memory while a stage runs, or while a model is read. All
// numbers are bytes.
type Moment struct {
	Stage   string   // "nodes.decoded" without the "nodes."; "" while a model is read
	Reads   string   // the model that is read, or ""
	Models  []string // that are held
	Weights int64    // of these
	Cache   int64    // keys and values, and what else they keep
	Work    int64    // what calls of models compute in
	Values  int64    // what flows between stages, as far as it is known, the result among it
	Own     int64    // of the stage, or of reading
	Front   int64    // of layers that stay on the host
	Apart   bool     // the device has memory of its own: Values, Own and Front lie on the host
}

// Bytes is what is held together in the memory of the device.
func (m Moment) Bytes() int64 {
	if m.Apart {
		return m.Weights + m.Cache + m.Work
	}
	return m.Weights + m.Cache + m.Work + m.Values + m.Own
}

// HostBytes is what is held on the host beside the memory of the device.
func (m Moment) HostBytes() int64 {
	if m.Apart {
		return m.Values + m.Own + m.Front
	}
	return 0
}

// Name is how messages call it.
func (m Moment) Name() string {
	if m.Stage == "" {
		return "reading " + m.Reads
	}
	return "nodes." + m.Stage
}

// Memory is what the run holds, moment after moment.
func (p *Pipeline) Memory() []Moment { return p.moments() }

// PeakBytes is the most that the run holds.
func (p *Pipeline) PeakBytes() int64 { return most(p.moments()).Bytes() }

// most is the first of the moments that hold most.
func most(list []Moment) Moment {
	return mostBy(list, Moment.Bytes)
}

func mostBy(list []Moment, bytes func(Moment) int64) Moment {
	var top Moment
	for _, m := range list {
		if bytes(m) > bytes(top) {
			top = m
		}
	}
	return top
}

// moments follows Run, and adds up.
func (p *Pipeline) moments() []Moment {
	var list []Moment
	held := map[string]bool{}
	for i, c := range p.order {
		if p.known[c.ID] != nil {
			continue
		}
		for _, m := range p.weighted() {
			if u := p.use(m); !held[m.Name()] && u.last >= i && (u.first <= i || !p.single) {
				at := p.heldAt(i, held)
				at.Reads, at.Own = m.Name(), m.ReadBytes()
				at.Models = append(at.Models, m.Name())
				at.Weights += m.StateBytes(ir.Weight)
				at.Cache += m.StateBytes(ir.Cache)
				at.Front += m.HostBytes()
				at.Values = p.valueBytes(i-1, i)
				list = append(list, at)
				held[m.Name()] = true
			}
		}
		at := p.heldAt(i, held)
		at.Stage, at.Values = c.ID, p.valueBytes(i, i)
		p.fill(c, p.promised)
		if c.def.Own != nil {
			at.Own = c.def.Own(&c.Call)
		}
		list = append(list, at)
		for _, m := range p.weighted() {
			if p.use(m).last == i {
				held[m.Name()] = false
			}
		}
	}
	return list
}

// heldAt adds up the models that are held when a call runs. What a model computes in is
// held from its first call on.
func (p *Pipeline) heldAt(i int, held map[string]bool) Moment {
	at := Moment{Apart: p.opt.Host != nil}
	for _, m := range p.weighted() {
		u := p.use(m)
		if !held[m.Name()] || u.last < i {
			continue
		}
		at.Models = append(at.Models, m.Name())
		at.Weights += m.StateBytes(ir.Weight)
		at.Cache += m.StateBytes(ir.Cache)
		at.Front += m.HostBytes()
		if u.first <= i {
			at.Work += m.WorkBytes()
		}
	}
	return at
}

// valueBytes is what inputs and the results of the calls up to made take, of these results what the call
// read makes, and what it and those after it need.
func (p *Pipeline) valueBytes(made, read int) int64 {
	var sum int64
	for token, v := range p.promised {
		at := slices.IndexFunc(p.order, func(c *call) bool { return c.ID == token })
		if p.known[token] != nil || at <= made && (at == read || p.lastReader(token) >= read) {
			sum += sizeOf(v)
		}
	}
	return sum
}

// sizeOf is the memory of tensors and pictures; other values are small.
func sizeOf(v stage.Value) int64 {
	var sum int64
	switch v := v.(type) {
	case tensorfile.Tensor:
		return v.Type.Bytes()
	case []tensorfile.Tensor:
		for _, t := range v {
			sum += t.Type.Bytes()
		}
	case []*image.Picture:
		for _, q := range v {
			sum += int64(q.Width) * int64(q.Height) * int64(q.Channels) * int64(q.Bits()/8)
		}
	}
	return sum
}

// Notes are what plans say of stages, each with its name.
func (p *Pipeline) Notes() []string {
	var list []string
	for _, c := range p.order {
		if c.def.Note != nil {
			if text := c.def.Note(&c.Call); text != "" {
				list = append(list, "nodes."+c.ID+": "+text)
			}
		}
	}
	return list
}

// MemoryText is a table of moments.
func MemoryText(list []Moment, size func(bytes int64) string) string {
	var b strings.Builder
	for i, m := range list {
		models := strings.ReplaceAll(strings.Join(m.Models, " "), "models.", "")
		if m.Apart {
			if i == 0 {
				fmt.Fprintf(&b, "%-28s %10s %10s %10s %10s | %10s %10s %10s %10s  %s\n", "memory of the device | host", "weights", "cache", "work", "together", "layers", "values", "own", "together", "models")
			}
			fmt.Fprintf(&b, "%-28s %10s %10s %10s %10s | %10s %10s %10s %10s  %s\n", m.Name(), size(m.Weights), size(m.Cache), size(m.Work), size(m.Bytes()),
				size(m.Front), size(m.Values), size(m.Own), size(m.HostBytes()), models)
			continue
		}
		if i == 0 {
			fmt.Fprintf(&b, "%-28s %10s %10s %10s %10s %10s %10s  %s\n", "memory", "weights", "cache", "work", "values", "own", "together", "models")
		}
		fmt.Fprintf(&b, "%-28s %10s %10s %10s %10s %10s %10s  %s\n", m.Name(), size(m.Weights), size(m.Cache), size(m.Work), size(m.Values), size(m.Own), size(m.Bytes()), models)
	}
	return b.String()
}
