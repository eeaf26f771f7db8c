package learn

import (
	"io"
	"math"
	"os"
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
	Rank    int      `cue:"rank: int & >0 & <=1024 | *16" doc:"size of what x is projected to"`
	Alpha   float64  `cue:"alpha: number & >0 | *32" doc:"times 1/rank, the factor of the added product"`
	Dropout float64  `cue:"dropout: number & >=0 & <1 | *0" doc:"share of x that the added product does not see at a step"`
	DoRA    bool     `cue:"dora: bool | *false" doc:"train a magnitude of each output as well: rows of the adapted weight are divided by their norms and multiplied by it"`
	RSLoRA  bool     `cue:"rslora: bool | *false" doc:"the factor is alpha/sqrt(rank) instead"`
	Targets []string `cue:"targets: [string, ...string] | *[\"q_proj\", \"k_proj\", \"v_proj\", \"o_proj\", \"gate_proj\", \"up_proj\", \"down_proj\"]" doc:"last parts, or patterns, of the paths of linear layers"`
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

// merged is a weight with its adapter merged into it, or nil if it is not
// adapted.
func (r *Run) merged(t *Trainer, s plan.State, d checkpoint.Data) ([]float64, error) {
	if r.Recipe.Adapter == nil {
		return nil, nil
	}
	paths, states := train.AdapterOf(s.Path), map[string]plan.State{}
	for _, x := range t.states(ir.Weight) {
		states[x.Path] = x
	}
	if _, ok := states[paths.A]; !ok {
		return nil, nil
	}
	in := s.Type.Shape[1].N
	l := adapter.LowRank{In: in, Rank: r.Recipe.Adapter.Rank, Scale: r.Recipe.Adapter.Scale()}
	var err error
	if l.A, err = r.floatsOf(t, states[paths.A]); err != nil {
		return nil, err
	}
	if l.B, err = r.floatsOf(t, states[paths.B]); err != nil {
		return nil, err
	}
	if r.Recipe.Adapter.DoRA {
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

// magnitudes fills the magnitudes of a new adapter: with the norms of the rows
// of the weights that they belong to.
func (t *Trainer) magnitudes(list []plan.State) error {
	weights := map[string]plan.State{} // by the path of their magnitude
	for _, s := range t.states(ir.Weight) {
		weights[train.AdapterOf(s.Path).Magnitude] = s
	}
	for _, m := range list {
		s := weights[m.Path]
		data := make([]byte, s.Type.Bytes())
		if err := t.store.Read(s.Path, data); err != nil {
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
		if err := t.store.New(m, tensorfile.AppendFloats(nil, ir.F32, norms...)); err != nil {
			return err
		}
	}
	return nil
}

// exportAdapter writes the adapter alone, in the form of the PEFT library.
func (r *Run) exportAdapter(t *Trainer, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return checkpoint.FileError(dir, err)
	}
	write := func(name string, fill func(io.Writer) error) error {
		return checkpoint.Replace(filepath.Join(dir, name), fill)
	}
	var list []checkpoint.Data
	var adapted []string
	for _, s := range t.changing() {
		d := checkpoint.Data{Name: "base_model.model." + s.Path, Type: s.Type, Bytes: make([]byte, s.Type.Bytes())}
		if err := r.read(t, s, d.Bytes); err != nil {
			return err
		}
		list = append(list, d)
		if layer, ok := train.AdapterLayer(s.Path); ok && !slices.Contains(adapted, layer) {
			adapted = append(adapted, layer)
		}
	}
	err := write("adapter_model.safetensors", func(w io.Writer) error {
		return checkpoint.Encode(w, list, map[string]string{"format": "pt"})
	})
	if err != nil {
		return err
	}
	return writeJSON(write, "adapter_config.json", r.adapterConfig(adapted))
}

// adapterConfig is what PEFT must know of the adapter. It compares the ends of
// paths and knows no *, so that targets with one become the layers themselves.
func (r *Run) adapterConfig(adapted []string) map[string]any {
	a := r.Recipe.Adapter
	targets := a.Targets
	if slices.ContainsFunc(targets, func(t string) bool { return strings.Contains(t, "*") }) {
		targets = adapted
	}
	return map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": r.Recipe.Model.From, "inference_mode": true,
		"r": a.Rank, "lora_alpha": a.Alpha, "lora_dropout": a.Dropout, "use_dora": a.DoRA, "use_rslora": a.RSLoRA, "bias": "none",
		"target_modules": targets, "modules_to_save": nil, "layers_to_transform": nil, "layers_pattern": nil,
		"rank_pattern": map[string]any{}, "alpha_pattern": map[string]any{}, "fan_in_fan_out": false, "init_lora_weights": true,
	}
}
