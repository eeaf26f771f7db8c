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
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/kernels/half"
)

// exportWeights writes the weights of the model, in the element type that the
// recipe says. An adapter is merged into them, in float64.
func (r *Run) exportWeights(t *Trainer, write file) error {
	to, err := ir.ParseDType(r.Recipe.Save.DType)
	if err != nil {
		return err
	}
	var list []checkpoint.Data
	for _, s := range t.states(ir.Weight) {
		_, copied := train.ReferenceOf(s.Path)
		if copied || r.Recipe.Adapter != nil && s.Changes { // a part of the adapter
			continue
		}
		d := checkpoint.Data{Name: s.Path, Type: s.Type, Bytes: make([]byte, s.Type.Bytes())}
		if err := t.store.Read(s.Path, d.Bytes); err != nil {
			return err
		}
		merged, err := r.merged(t, s, d)
		if err != nil {
			return err
		}
		if merged != nil || d.Type.DType != to {
			if merged == nil {
				merged = tensorfile.Tensor{Type: d.Type, Data: d.Bytes}.Float64s()
			}
			d.Type, d.Bytes = d.Type.As(to), narrowed(to, merged)
		}
		if r.Recipe.Adapter != nil && merged == nil && r.base != nil { // as the base has it, bit for bit
			if d, err = r.baseTensor(s.Path); err != nil {
				return err
			}
		}
		list = append(list, d)
	}
	return write(weightsFile, func(w io.Writer) error { return checkpoint.Encode(w, list, map[string]string{"format": "pt"}) })
}

// baseTensor is a tensor of the model's folder as it is there, under the path of
// its weight.
func (r *Run) baseTensor(path string) (checkpoint.Data, error) {
	name := r.base.Name(path, r.model.Prefixes)
	x, ok := r.base.Lookup(name)
	if !ok {
		return checkpoint.Data{}, &checkpoint.Error{File: r.base.Path(), Msg: "has no tensor " + name}
	}
	data, err := r.base.View(name)
	return checkpoint.Data{Name: path, Type: x.Type(), Bytes: data}, err
}

// narrowed writes values as little-endian elements, rounded to nearest even.
func narrowed(to ir.DType, values []float64) []byte {
	out := make([]byte, 0, len(values)*to.Size())
	for _, x := range values {
		switch to {
		case ir.BF16:
			out = binary.LittleEndian.AppendUint16(out, half.F32ToBF16(float32(x)))
		case ir.F16:
			out = binary.LittleEndian.AppendUint16(out, half.F32ToF16(float32(x)))
		default:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(x)))
		}
	}
	return out
}

// merged is W + alpha/rank B A, or nil if the weight is not adapted.
func (r *Run) merged(t *Trainer, s plan.State, d checkpoint.Data) ([]float64, error) {
	if r.Recipe.Adapter == nil {
		return nil, nil
	}
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
	out := make([]float64, 0, len(w))
	for row := range s.Type.Shape[0].N {
		for col := range in {
			var sum float64
			for k := range rank {
				sum += b[row*rank+k] * a[k*in+col]
			}
			out = append(out, w[row*in+col]+scale*sum)
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
