package learn

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/train"
	"pipe.dev/executor/adapter"
	"pipe.dev/executor/checkpoint"
)

// exportAdapters writes the adapters alone: that of the recipe's own model in the
// form of the PEFT library, those of models that it calls as one file.
func (r *Run) exportAdapters(t *Trainer, dir string) error {
	if own := r.Recipe.Model; own.Adapter != nil {
		if err := r.exportAdapter(t, own, dir); err != nil {
			return err
		}
	}
	var list []checkpoint.Data
	parts := map[string]map[string]any{}
	for _, m := range r.Recipe.Models {
		if m.Adapter == nil {
			continue
		}
		tensors, layers, err := r.adapterTensors(t, m, m.part()+".")
		if err != nil {
			return err
		}
		list = append(list, tensors...)
		if parts[m.part()], err = m.savedConfig(layers); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return nil
	}
	metadata, err := adapter.PipelineMetadata(parts)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return checkpoint.FileError(dir, err)
	}
	return checkpoint.Replace(filepath.Join(dir, adapter.PipelineFile), func(w io.Writer) error { return checkpoint.Encode(w, list, metadata) })
}

// adapterTensors are the weights of a model's adapter, under names that begin with
// prefix, and the layers that they adapt.
func (r *Run) adapterTensors(t *Trainer, m *Member, prefix string) (list []checkpoint.Data, layers []string, err error) {
	for _, s := range t.changing() {
		of, path := r.Recipe.of(s.Path)
		if of != m {
			continue
		}
		d := checkpoint.Data{Name: prefix + path, Type: s.Type, Bytes: make([]byte, s.Type.Bytes())}
		if err := r.read(t, s, d.Bytes); err != nil {
			return nil, nil, err
		}
		list = append(list, d)
		if layer, ok := train.AdapterLayer(path); ok && !slices.Contains(layers, layer) {
			layers = append(layers, layer)
		}
	}
	return list, layers, nil
}

// savedConfig says of an adapter what is kept beside it: of one that is trained on,
// what it said, but for the base that it is of now.
func (m *Member) savedConfig(layers []string) (map[string]any, error) {
	config := m.adapterConfig(layers)
	if m.Name != "" {
		config["task_type"] = nil
	}
	if m.from == nil {
		return config, nil
	}
	if _, several := adapter.IsPipeline(m.Adapter.From); several {
		ranks, alphas := map[string]any{}, map[string]any{}
		for _, l := range m.from.Layers {
			ranks[l.Path], alphas[l.Path] = l.Rank, l.Scale*float64(l.Rank)
		}
		config["rank_pattern"], config["alpha_pattern"], config["target_modules"] = ranks, alphas, layers
		return config, nil
	}
	config, err := m.from.Config()
	if err == nil {
		config["base_model_name_or_path"] = m.baseName
	}
	return config, err
}

// exportAdapter writes the adapter of a model alone, in the form of the PEFT library.
func (r *Run) exportAdapter(t *Trainer, m *Member, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return checkpoint.FileError(dir, err)
	}
	write := func(name string, fill func(io.Writer) error) error {
		return checkpoint.Replace(filepath.Join(dir, name), fill)
	}
	list, layers, err := r.adapterTensors(t, m, "base_model.model.")
	if err != nil {
		return err
	}
	err = write("adapter_model.safetensors", func(w io.Writer) error {
		return checkpoint.Encode(w, list, map[string]string{"format": "pt"})
	})
	if err != nil {
		return err
	}
	config, err := m.savedConfig(layers)
	if err != nil {
		return err
	}
	return writeJSON(write, "adapter_config.json", config)
}

// adapterConfig is what PEFT must know of the adapter. It compares the ends of
// paths and knows no *, so that targets with one become the layers themselves.
func (m *Member) adapterConfig(adapted []string) map[string]any {
	a := m.Adapter
	targets := a.Targets
	if slices.ContainsFunc(targets, func(t string) bool { return strings.Contains(t, "*") }) {
		targets = adapted
	}
	return map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": m.baseName, "inference_mode": true,
		"r": a.Rank, "lora_alpha": a.Alpha, "lora_dropout": a.Dropout, "use_dora": a.DoRA, "use_rslora": a.RSLoRA, "bias": "none",
		"target_modules": targets, "modules_to_save": nil, "layers_to_transform": nil, "layers_pattern": nil,
		"rank_pattern": map[string]any{}, "alpha_pattern": map[string]any{}, "fan_in_fan_out": false, "init_lora_weights": true,
	}
}
