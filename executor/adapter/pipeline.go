package adapter

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/internal/suggest"
)

// PipelineFile is the file of adapters of a pipeline of several models: tensors of
// each begin with the name of its folder, "unet" or "text_encoder".
const PipelineFile = "pytorch_lora_weights.safetensors"

// metadataKey is what the file says of ranks and factors under.
const metadataKey = "lora_adapter_metadata"

// alphaEnd is the end of a tensor with the alpha of one layer.
const alphaEnd = ".alpha"

// underscored are what kohya's trainer and its kin begin the names of a model's
// layers with, in which underscores stand for dots; by the names of folders.
var underscored = map[string][]string{"unet": {"lora_unet_"}, "text_encoder": {"lora_te_", "lora_te1_"}, "text_encoder_2": {"lora_te2_"}}

// ends are how files spell the ends of the tensors of a layer.
var ends = []struct{ spelled, end string }{
	{train.LowRankA, train.LowRankA}, {train.LowRankB, train.LowRankB}, {train.Magnitude, train.Magnitude}, {train.Magnitude + ".weight", train.Magnitude},
	{".lora.down.weight", train.LowRankA}, {".lora.up.weight", train.LowRankB},
	{".lora_linear_layer.down.weight", train.LowRankA}, {".lora_linear_layer.up.weight", train.LowRankB},
	{"_lora.down.weight", train.LowRankA}, {"_lora.up.weight", train.LowRankB},
	{".lora_down.weight", train.LowRankA}, {".lora_up.weight", train.LowRankB}, {".dora_scale", train.Magnitude},
	{alphaEnd, alphaEnd},
}

// older are the ends of paths in files of the time when attention was adapted by
// processors beside it, and what they are now.
var older = []struct{ was, is string }{{".to_out", ".to_out.0"}, {".to_q", ".q_proj"}, {".to_k", ".k_proj"}, {".to_v", ".v_proj"}, {".to_out", ".out_proj"}}

// IsPipeline reports whether a path is a file of adapters of several models, or
// a folder that holds one; file is that file.
func IsPipeline(path string) (file string, ok bool) {
	if strings.HasSuffix(path, ".safetensors") {
		return path, true
	}
	file = filepath.Join(path, PipelineFile)
	_, err := os.Stat(file)
	return file, err == nil
}

// OpenPart opens what a file of adapters of several models has for one of them, as
// diffusers and its kin write it: the one whose folder is called part. layers are the
// paths of the model's layers, prefixes what files may lack or add in front of
// them, and aliases what they may write in place of parts. It is nil if the file has nothing for the model.
//
// The factor of a layer is its alpha over its rank: that of a tensor LAYER.alpha,
// else that which the file's metadata say, else 1.
func OpenPart(file, part string, layers, prefixes []string, aliases map[string]string) (*Adapter, error) {
	c, err := checkpoint.Open(file)
	if err != nil {
		return nil, err
	}
	a := &Adapter{Dir: file, file: file, ckpt: c, names: map[string]string{}}
	if a.config, err = metadata(c, part); err == nil {
		err = a.partLayers(part, knownPaths(layers, prefixes, aliases))
	}
	if err != nil || len(a.Layers) == 0 {
		c.Close()
		return nil, err
	}
	return a, nil
}

// Belongs proves that every tensor of a file of adapters is for one of the models
// whose folders are called parts.
func Belongs(file string, parts []string) error {
	c, err := checkpoint.Open(file)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, t := range c.Tensors() {
		if !slices.ContainsFunc(parts, func(part string) bool { _, ok := cutPart(t.Name, part); return ok }) {
			return errorf(file, "tensor %q is for none of the models %s: names begin with that of a model's folder, as %s.", t.Name, strings.Join(parts, ", "), parts[0])
		}
	}
	return nil
}

// cutPart is the rest of the name of a tensor that is for the model in the folder
// called part.
func cutPart(name, part string) (rest string, ok bool) {
	for _, front := range append([]string{part + "."}, underscored[part]...) {
		if rest, ok = strings.CutPrefix(name, front); ok {
			return rest, true
		}
	}
	return "", false
}

// cutEnd takes the rest of a name apart; end is "" of a tensor that is no part of
// a low-rank adapter.
func cutEnd(rest string) (path, end string) {
	for _, e := range ends {
		if path, ok := strings.CutSuffix(rest, e.spelled); ok {
			return path, e.end
		}
	}
	return rest, ""
}

// knownPaths are paths by their spellings: with and without prefixes, with aliases,
// with dots and with underscores.
func knownPaths(layers, prefixes []string, aliases map[string]string) map[string]string {
	out := map[string]string{}
	parts := slices.Sorted(maps.Keys(aliases))
	for _, path := range layers {
		other := path
		for _, part := range parts {
			other = strings.ReplaceAll(other, part, aliases[part])
		}
		spellings := []string{path, other}
		for _, p := range prefixes {
			spellings = append(spellings, p+path, strings.TrimPrefix(path, p))
		}
		for _, s := range spellings {
			out[s], out[strings.ReplaceAll(s, ".", "_")] = path, path
		}
	}
	return out
}

// layerOf is the layer that a file's name stands for.
func layerOf(name string, known map[string]string) (path string, ok bool) {
	if path, ok = known[name]; ok {
		return path, true
	}
	name = strings.ReplaceAll(name, ".processor.", ".")
	for _, o := range older {
		if front, ends := strings.CutSuffix(name, o.was); ends {
			if path, ok = known[front+o.is]; ok {
				return path, true
			}
		}
	}
	path, ok = known[name]
	return path, ok
}

// partLayers finds the layers of the part, and proves their tensors against one
// another. The error is of the first that is wrong, and says how many more are.
func (a *Adapter) partLayers(part string, known map[string]string) error {
	var problems []error
	fail := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	parts := map[string]map[string]checkpoint.Tensor{}
	var paths []string
	for _, t := range a.ckpt.Tensors() {
		rest, mine := cutPart(t.Name, part)
		if !mine {
			continue
		}
		name, end := cutEnd(rest)
		path, ok := layerOf(name, known)
		switch {
		case end == "":
			fail("tensor %q is none of a low-rank adapter: want LAYER%s and LAYER%s, or other spellings of these", t.Name, train.LowRankA, train.LowRankB)
			continue
		case !ok:
			fail("tensor %q adapts %s, which is no layer of %s%s", t.Name, name, part, nearest(name, known))
			continue
		case !slices.Contains([]ir.DType{ir.F32, ir.BF16, ir.F16, ir.F64}, t.DType):
			fail("tensor %q has dtype %s, want F32, BF16, F16 or F64", t.Name, t.Raw)
			continue
		case parts[path] == nil:
			parts[path] = map[string]checkpoint.Tensor{}
			paths = append(paths, path)
		}
		if twice := parts[path][end].Name; twice != "" {
			fail("tensors %q and %q are both of %s", twice, t.Name, path)
		}
		if parts[path][end] = t; end != alphaEnd {
			a.names[path+end] = t.Name
		}
	}
	for _, path := range paths {
		l, err := factors(path, parts[path])
		if err == nil {
			l.Scale, err = a.factor(l, parts[path][alphaEnd].Name)
		}
		if err != nil {
			fail("%v", err)
		}
		a.Layers = append(a.Layers, l)
	}
	switch n := len(problems); n {
	case 0:
		return nil
	case 1:
		return errorf(a.file, "%v", problems[0])
	default:
		return errorf(a.file, "%v (and %d more)", problems[0], n-1)
	}
}

// nearest is a hint at the layer that may have been meant.
func nearest(path string, known map[string]string) string {
	if hint := suggest.DidYouMean(path, slices.Sorted(maps.Keys(known))); hint != "" {
		return ": " + hint
	}
	return ""
}

// factor is the factor of a layer, whose alpha is a tensor, if one is named.
func (a *Adapter) factor(l Layer, alpha string) (float64, error) {
	if alpha == "" {
		if a.config.Alpha == 0 {
			return 1, nil
		}
		return a.config.scale(l.Path, l.Rank), nil
	}
	t, _ := a.ckpt.Lookup(alpha)
	if elems(t.Shape) != 1 {
		return 0, fmt.Errorf("tensor %q has shape %v, want one number", alpha, t.Shape)
	}
	data, err := a.ckpt.View(alpha)
	if err != nil {
		return 0, err
	}
	return tensorfile.Tensor{Type: t.Type(), Data: data}.Float64s()[0] / float64(l.Rank), nil
}

// metadata is what a file says of the part; the names of its fields begin with the
// part's.
func metadata(c *checkpoint.Checkpoint, part string) (out config, err error) {
	text, ok := c.Metadata()[metadataKey]
	if !ok {
		return out, nil
	}
	own, all := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if err = json.Unmarshal([]byte(text), &all); err == nil {
		for name, x := range all {
			if field, ok := strings.CutPrefix(name, part+"."); ok {
				own[field] = x
			}
		}
		var fields []byte
		if fields, err = json.Marshal(own); err == nil {
			err = json.Unmarshal(fields, &out)
		}
	}
	if err != nil {
		return out, errorf(c.Path(), "metadata %s: %s", metadataKey, strings.TrimPrefix(err.Error(), "json: "))
	}
	return out, nil
}

// PipelineMetadata is what such a file says of the adapters of its parts,
// each as adapter_config.json would.
func PipelineMetadata(parts map[string]map[string]any) (map[string]string, error) {
	all := map[string]any{}
	for part, config := range parts {
		for name, x := range config {
			all[part+"."+name] = x
		}
	}
	text, err := json.Marshal(all)
	return map[string]string{"format": "pt", metadataKey: string(text)}, err
}

// Rescale multiplies the factors of all layers.
func (a *Adapter) Rescale(by float64) {
	for i := range a.Layers {
		a.Layers[i].Scale *= by
	}
}

// LayerOf is the layer that a tensor of the file is a factor of: not its magnitude,
// and none of another model.
func (a *Adapter) LayerOf(name string) (path string, ok bool) {
	for weight, tensor := range a.names {
		if tensor == name {
			path, end := cutEnd(weight)
			return path, end != train.Magnitude
		}
	}
	return "", false
}
