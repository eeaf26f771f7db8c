package learn

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/adapter"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

// AdapterAttr describes low-rank adaptation: to the product of chosen linear
// layers, y = x Wᵀ, is added a factor times x Aᵀ Bᵀ, and A and B alone are
// trained. Sources: arXiv:2106.09685, arXiv:2402.09353, arXiv:2312.03732.
type AdapterAttr struct {
	From    string   `cue:"from?: string & !=\"\"" doc:"a folder with adapter_config.json, or a file of adapters of several models, whose adapter is trained on; rank, alpha, dora, rslora and targets are then those of it"`
	Rank    int      `cue:"rank: int & >0 & <=1024 | *16" doc:"size of what x is projected to"`
	Alpha   float64  `cue:"alpha: number & >0 | *32" doc:"times 1/rank, the factor of the added product"`
	Dropout float64  `cue:"dropout: number & >=0 & <1 | *0" doc:"share of x that the added product does not see at a step"`
	DoRA    bool     `cue:"dora: bool | *false" doc:"train a magnitude of each output as well: rows of the adapted weight are divided by their norms and multiplied by it"`
	RSLoRA  bool     `cue:"rslora: bool | *false" doc:"the factor is alpha/sqrt(rank) instead"`
	Targets []string `cue:"targets: [string, ...string] | *[\"q_proj\", \"k_proj\", \"v_proj\", \"o_proj\", \"gate_proj\", \"up_proj\", \"down_proj\"]" doc:"last parts, or patterns, of the paths of linear layers and convolutions"`
}

// Target says which linear layers the adapter adapts: those whose path ends
// with one of the targets, or matches it as a pattern.
func (a *AdapterAttr) Target(path string) bool {
	return slices.ContainsFunc(a.Targets, func(t string) bool { return train.Match(t, path) })
}

// Scale is the factor of the added product.
func (a *AdapterAttr) Scale() float64 {
	if a.RSLoRA {
		return a.Alpha / math.Sqrt(float64(a.Rank))
	}
	return a.Alpha / float64(a.Rank)
}

// AdaptedLayer is what is trained of a linear layer.
type AdaptedLayer struct {
	Rank    int
	Scale   float64 // of the product
	Dropout float64
	DoRA    bool
}

// AdaptedLayer describes the adapter of the layer at a path; ok is false of a
// layer that is not adapted.
func (r *Recipe) AdaptedLayer(path string) (l AdaptedLayer, ok bool) {
	m, rest := r.of(path)
	a := m.Adapter
	switch {
	case m.from != nil:
		l, ok := m.from.Layer(rest)
		return AdaptedLayer{l.Rank, l.Scale, a.Dropout, l.Magnitude}, ok
	case a == nil || !a.Target(rest):
		return l, false
	}
	return AdaptedLayer{a.Rank, a.Scale(), a.Dropout, a.DoRA}, true
}

// openAdapters opens the adapters that are trained on.
func (r *Run) openAdapters() error {
	called := map[string]*Member{} // in a file of the adapters of several models
	for _, m := range r.Recipe.members() {
		a := m.Adapter
		if a != nil && m.Name != "" {
			if other := called[m.part()]; other != nil {
				return r.mistake(m.Path(), "and %s are adapted and both from a folder %q, by which the file of adapters tells models apart: give one another name", other.Path(), m.part())
			}
			called[m.part()] = m
		}
		if a == nil || a.From == "" {
			continue
		}
		at := m.Path() + ".adapter."
		for _, field := range []string{"rank", "alpha", "dora", "rslora", "targets"} {
			if _, ok := r.doc.Recipe.Written(at + field); ok {
				return r.mistake(at+field, "is that of %s, the adapter that is trained on: leave it out", a.From)
			}
		}
		var err error
		if m.from, err = m.openFrom(); err != nil {
			return err
		}
		if m.from.Transposed {
			return r.mistake(at+"from", "%s is of weights that are stored transposed (fan_in_fan_out)", a.From)
		}
		a.DoRA = m.from.Layers[0].Magnitude
	}
	return nil
}

// openFrom opens the adapter that is trained on: of a file of several models, what
// it has for this one.
func (m *Member) openFrom() (*adapter.Adapter, error) {
	file, ok := adapter.IsPipeline(m.Adapter.From)
	if !ok {
		return adapter.Open(m.Adapter.From)
	}
	c, err := checkpoint.Open(m.From)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var layers []string
	for _, t := range c.Tensors() {
		if path, ok := m.arch.PathOf(t.Name); ok {
			layers = append(layers, strings.TrimSuffix(path, ".weight"))
		}
	}
	a, err := adapter.OpenPart(file, m.part(), layers, m.arch.Prefixes, m.arch.Aliases)
	if err == nil && a == nil {
		err = &checkpoint.Error{File: file, Msg: fmt.Sprintf("has no layer of %s: names of its tensors begin with the name of the model's folder", m.part())}
	}
	return a, err
}

// part is what a file of adapters of several models calls the model: as its
// folder is called.
func (m *Member) part() string {
	if m.From == "" {
		return m.Name
	}
	return filepath.Base(m.From)
}

// loadAdapter reads the weights of the adapter that is trained on.
func (m *Member) loadAdapter(t *Trainer, list []plan.State) error {
	c := m.from.Checkpoint()
	name := func(path string) string {
		path = strings.TrimPrefix(path, m.global(""))
		if x, ok := m.from.Tensor(path); ok {
			return x
		}
		return path
	}
	var wants []checkpoint.Want
	for _, s := range list {
		wants = append(wants, checkpoint.Want{Name: name(s.Path), Shape: s.Type.Sizes(), DTypes: []ir.DType{ir.F32, ir.BF16, ir.F16, ir.F64}})
	}
	if err := c.Prove(wants, func(tensor string) bool { _, ok := m.from.LayerOf(tensor); return !ok }); err != nil {
		return err
	}
	return t.loadStates(c, name, list)
}

// merged is a weight with its adapter merged into it, or nil if it is not
// adapted.
func (r *Run) merged(t *Trainer, s plan.State, d checkpoint.Data) ([]float64, error) {
	layer, ok := r.Recipe.AdaptedLayer(strings.TrimSuffix(s.Path, ".weight"))
	if !ok {
		return nil, nil
	}
	paths, states := train.AdapterOf(s.Path), map[string]plan.State{}
	for _, x := range t.states(ir.Weight) {
		states[x.Path] = x
	}
	if _, ok := states[paths.A]; !ok {
		return nil, nil
	}
	in := s.Type.Elems() / s.Type.Shape[0].N
	l := adapter.LowRank{In: in, Rank: layer.Rank, Scale: layer.Scale}
	var err error
	if l.A, err = r.floatsOf(t, states[paths.A]); err != nil {
		return nil, err
	}
	if l.B, err = r.floatsOf(t, states[paths.B]); err != nil {
		return nil, err
	}
	if layer.DoRA {
		if l.Magnitude, err = r.floatsOf(t, states[paths.Magnitude]); err != nil {
			return nil, err
		}
	}
	w, delta := tensorfile.Tensor{Type: d.Type, Data: d.Bytes}.Float64s(), make([]float64, in)
	for row := range s.Type.Shape[0].N {
		l.Merge(row, w[row*in:(row+1)*in], delta)
	}
	return w, nil
}

// magnitudes fills the magnitudes of a new adapter, and the lengths of weights that are written by
// them: with the norms of the rows of the weights that they belong to.
func (t *Trainer) magnitudes(list []plan.State) error {
	weights := map[string]plan.State{} // by the path of their magnitude
	for _, s := range t.states(ir.Weight) {
		weights[train.AdapterOf(s.Path).Magnitude] = s
		weights[train.LengthOf(s.Path)] = s
	}
	for _, m := range list {
		s := weights[m.Path]
		data := make([]byte, s.Type.Bytes())
		if err := t.readState(s.Path, data); err != nil {
			return err
		}
		w := tensorfile.Tensor{Type: s.Type, Data: data}.Float64s()
		rows := m.Type.Elems()
		norms := make([]float64, rows)
		for i, x := range w {
			norms[i*rows/len(w)] += x * x
		}
		for i, sum := range norms {
			norms[i] = math.Sqrt(sum)
		}
		if err := t.newState(m, tensorfile.AppendFloats(nil, ir.F32, norms...)); err != nil {
			return err
		}
	}
	return nil
}
