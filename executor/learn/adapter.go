package learn

import (
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

// exportWeights writes the weights of the model. An adapter is merged into
// them, in float64.
func (r *Run) exportWeights(t *Trainer, write file) error {
	all := t.states(ir.Weight)
	if r.Recipe.Adapter == nil {
		return t.saveStates(write, weightsFile, all)
	}
	c, err := checkpoint.Open(r.Recipe.Model.From)
	if err != nil {
		return err
	}
	defer c.Close()
	var list []checkpoint.Data
	for _, s := range all {
		if s.Changes { // a part of the adapter
			continue
		}
		d := checkpoint.Data{Name: s.Path, Type: s.Type}
		if d.Bytes, err = c.View(s.Path); err != nil {
			return err
		}
		if x, ok := c.Lookup(s.Path); ok {
			d.Type = x.Type()
		}
		if merged, err := r.merged(t, s, d); err != nil {
			return err
		} else if merged != nil {
			d.Type, d.Bytes = d.Type.As(ir.F32), merged
		}
		list = append(list, d)
	}
	return write(weightsFile, func(w io.Writer) error { return checkpoint.Encode(w, list, map[string]string{"format": "pt"}) })
}

// merged is W + alpha/rank B A in f32, or nil if the weight is not adapted.
func (r *Run) merged(t *Trainer, s plan.State, d checkpoint.Data) ([]byte, error) {
	base := strings.TrimSuffix(s.Path, ".weight")
	states := t.states(ir.Weight)
	i := slices.IndexFunc(states, func(x plan.State) bool { return x.Path == base+".lora_A.weight" })
	j := slices.IndexFunc(states, func(x plan.State) bool { return x.Path == base+".lora_B.weight" })
	if i < 0 || j < 0 {
		return nil, nil
	}
	a, err := t.floatsOf(states[i])
	if err != nil {
		return nil, err
	}
	b, err := t.floatsOf(states[j])
	if err != nil {
		return nil, err
	}
	w := tensorfile.Tensor{Type: d.Type, Data: d.Bytes}.Float64s()
	rank, in := r.Recipe.Adapter.Rank, s.Type.Shape[1].N
	scale := r.Recipe.Adapter.Alpha / float64(rank)
	out := make([]byte, 0, 4*len(w))
	for row := range s.Type.Shape[0].N {
		for col := range in {
			var sum float64
			for k := range rank {
				sum += b[row*rank+k] * a[k*in+col]
			}
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(w[row*in+col]+scale*sum)))
		}
	}
	return out, nil
}

func (t *Trainer) floatsOf(s plan.State) ([]float64, error) {
	data := make([]byte, s.Type.Bytes())
	if err := t.store.Read(s.Path, data); err != nil {
		return nil, err
	}
	return tensorfile.Tensor{Type: s.Type, Data: data}.Float64s(), nil
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
	for _, s := range t.changing() {
		d := checkpoint.Data{Name: "base_model.model." + s.Path, Type: s.Type, Bytes: make([]byte, s.Type.Bytes())}
		if err := t.store.Read(s.Path, d.Bytes); err != nil {
			return err
		}
		list = append(list, d)
	}
	err := write("adapter_model.safetensors", func(w io.Writer) error {
		return checkpoint.Encode(w, list, map[string]string{"format": "pt"})
	})
	if err != nil {
		return err
	}
	return writeJSON(write, "adapter_config.json", map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": r.Recipe.Model.From, "inference_mode": true,
		"r": r.Recipe.Adapter.Rank, "lora_alpha": r.Recipe.Adapter.Alpha, "lora_dropout": 0.0, "bias": "none",
		"target_modules": r.Recipe.Adapter.Targets, "fan_in_fan_out": false, "init_lora_weights": true,
	})
}
