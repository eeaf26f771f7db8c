// Package adapter reads adapters in the form of the PEFT library, a folder with
// adapter_config.json and adapter_model.safetensors, and in files of several
// models, as diffusers and kohya's trainer have them; merges them into the weights of a model's folder, and takes them out again.
//
// It reads low-rank adapters of linear layers and convolutions: LoRA, by rank or its root
// (rsLoRA), with ranks and factors of their own for some layers, and DoRA. What
// else PEFT can do is refused by name. It does not train, and runs no model.
//
// Sources: arXiv:2106.09685, arXiv:2312.03732, arXiv:2402.09353; the files are
// those of PEFT 0.21.
package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

// The files of an adapter.
const (
	configName  = "adapter_config.json"
	weightsName = "adapter_model.safetensors"
	oldName     = "adapter_model.bin"
)

// prefix is what PEFT puts before the path of every weight.
const prefix = "base_model.model."

// Layer is an adapted linear layer [out, in], or a convolution [out, in / elements
// of the kernel, kernel...].
type Layer struct {
	Path      string // "model.layers.0.self_attn.q_proj"
	Rank      int
	In, Out   int
	Scale     float64 // of the product of B and A
	Magnitude bool    // DoRA
}

// Adapter is an opened adapter. Its methods may be called concurrently, but for
// Close.
type Adapter struct {
	Dir        string
	Layers     []Layer // in the natural order of their paths
	Transposed bool    // the base keeps weights as [in, out]
	config     config
	file       string // of the weights, if it is one of several models
	ckpt       *checkpoint.Checkpoint
	names      map[string]string // of the tensors, by the path of the weight: "LAYER.lora_A.weight"
}

// Open reads the configuration and the header of the weights, and proves one
// against the other; every mismatch has a line. The error is a
// *checkpoint.Error, or several, joined.
func Open(dir string) (*Adapter, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, checkpoint.FileError(dir, err)
	} else if !info.IsDir() {
		return nil, errorf(dir, "is a file; an adapter is a folder with %s and %s", configName, weightsName)
	}
	a := &Adapter{Dir: dir, names: map[string]string{}}
	var err error
	if a.config, err = readConfig(filepath.Join(dir, configName)); err != nil {
		return nil, err
	}
	a.Transposed = a.config.FanInFanOut
	if a.ckpt, err = checkpoint.Open(a.weights()); err != nil {
		return nil, err
	}
	if err := a.layers(); err != nil {
		a.ckpt.Close()
		return nil, err
	}
	return a, nil
}

// weights is the file of the adapter's weights: safetensors, or, of older
// adapters, PyTorch's.
func (a *Adapter) weights() string {
	if a.file != "" {
		return a.file
	}
	file, old := filepath.Join(a.Dir, weightsName), filepath.Join(a.Dir, oldName)
	if _, err := os.Stat(file); err != nil {
		if _, err := os.Stat(old); err == nil {
			return old
		}
	}
	return file
}

// Close gives the file back.
func (a *Adapter) Close() error { return a.ckpt.Close() }

// Config is all that adapter_config.json says.
func (a *Adapter) Config() (map[string]any, error) {
	file := filepath.Join(a.Dir, configName)
	text, err := os.ReadFile(file)
	var out map[string]any
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return nil, checkpoint.FileError(file, err)
	}
	return out, nil
}

// Files are the files of the adapter.
func (a *Adapter) Files() []string {
	if a.file != "" {
		return []string{a.file}
	}
	return []string{filepath.Join(a.Dir, configName), a.weights()}
}

// Checkpoint is the file of the weights.
func (a *Adapter) Checkpoint() *checkpoint.Checkpoint { return a.ckpt }

// Tensor is the name in the file of the weight at a path: "LAYER.lora_A.weight",
// "LAYER.lora_B.weight" or "LAYER.lora_magnitude_vector".
func (a *Adapter) Tensor(path string) (name string, ok bool) {
	name, ok = a.names[path]
	return name, ok
}

// Layer finds an adapted layer by its path.
func (a *Adapter) Layer(path string) (Layer, bool) {
	i := slices.IndexFunc(a.Layers, func(l Layer) bool { return l.Path == path })
	if i < 0 {
		return Layer{}, false
	}
	return a.Layers[i], true
}

// layers finds the layers in the names of the tensors.
func (a *Adapter) layers() error {
	file := a.weights()
	var problems []error
	fail := func(format string, args ...any) { problems = append(problems, errorf(file, format, args...)) }
	parts := map[string]map[string]checkpoint.Tensor{} // by layer and end
	var paths []string
	for _, t := range a.ckpt.Tensors() {
		path, end, ok := split(t.Name)
		if !ok {
			fail("tensor %q is none of a low-rank adapter of linear layers: want %sLAYER%s, %s or %s", t.Name, prefix, train.LowRankA, train.LowRankB, train.Magnitude)
			continue
		}
		if !slices.Contains([]ir.DType{ir.F32, ir.BF16, ir.F16, ir.F64}, t.DType) {
			fail("tensor %q has dtype %s, want F32, BF16, F16 or F64", t.Name, t.Raw)
			continue
		}
		if parts[path] == nil {
			parts[path] = map[string]checkpoint.Tensor{}
			paths = append(paths, path)
		}
		parts[path][end], a.names[path+end] = t, t.Name
	}
	for _, path := range paths {
		l, err := a.layer(path, parts[path])
		if err != nil {
			fail("%v", err)
		}
		a.Layers = append(a.Layers, l)
	}
	if len(paths) == 0 && len(problems) == 0 {
		fail("holds no layer")
	}
	return errors.Join(problems...)
}

// split takes the name of a tensor apart.
func split(name string) (path, end string, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return "", "", false
	}
	rest = strings.TrimSuffix(rest, ".default") // as PEFT kept it for a time
	for _, end := range []string{train.LowRankA, train.LowRankB, train.Magnitude} {
		if path, ok := strings.CutSuffix(rest, end); ok {
			return path, end, true
		}
	}
	path, ok = strings.CutSuffix(rest, train.Magnitude+".weight") // of early DoRA
	return path, train.Magnitude, ok
}

// layer proves the tensors of a layer against one another and the
// configuration.
func (a *Adapter) layer(path string, parts map[string]checkpoint.Tensor) (Layer, error) {
	l, err := factors(path, parts)
	if err != nil {
		return l, err
	}
	if l.Magnitude != a.config.DoRA {
		return l, fmt.Errorf("%s: use_dora is %v, and a lora_magnitude_vector is there: %v", path, a.config.DoRA, l.Magnitude)
	}
	if rank, _ := a.config.of(path); rank != l.Rank {
		return l, fmt.Errorf("%s: lora_A has rank %d, and %s says %d", path, l.Rank, configName, rank)
	}
	l.Scale = a.config.scale(path, l.Rank)
	return l, nil
}

// factors proves the tensors of a layer against one another. Those of a convolution
// are a convolution to as many channels as the rank says, and one of single points.
func factors(path string, parts map[string]checkpoint.Tensor) (Layer, error) {
	ta, tb, tm := parts[train.LowRankA], parts[train.LowRankB], parts[train.Magnitude]
	l := Layer{Path: path, Magnitude: tm.Name != ""}
	switch {
	case ta.Name == "" || tb.Name == "":
		return l, fmt.Errorf("%s lacks lora_A or lora_B", path)
	case len(ta.Shape) < 2 || len(tb.Shape) != len(ta.Shape) || ta.Shape[0] != tb.Shape[1] || ta.Shape[0] == 0 || elems(tb.Shape[2:]) != 1:
		return l, fmt.Errorf("%s: lora_A %v and lora_B %v are no factors of a weight", path, ta.Shape, tb.Shape)
	case l.Magnitude && elems(tm.Shape) != tb.Shape[0]:
		return l, fmt.Errorf("%s: lora_magnitude_vector has shape %v, want [%d]", path, tm.Shape, tb.Shape[0])
	case l.Magnitude && len(ta.Shape) > 2:
		return l, fmt.Errorf("%s: the adapter of a convolution has a magnitude, which is not read", path)
	}
	l.Rank, l.In, l.Out = ta.Shape[0], elems(ta.Shape[1:]), tb.Shape[0]
	return l, nil
}

func elems(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// LowRank reads the values of a layer's adapter.
func (a *Adapter) LowRank(l Layer) (*LowRank, error) {
	out := &LowRank{In: l.In, Rank: l.Rank, Scale: l.Scale}
	for _, part := range []struct {
		end  string
		into *[]float64
	}{{train.LowRankA, &out.A}, {train.LowRankB, &out.B}, {train.Magnitude, &out.Magnitude}} {
		name, ok := a.names[l.Path+part.end]
		if !ok {
			continue
		}
		t, _ := a.ckpt.Lookup(name)
		data, err := a.ckpt.View(name)
		if err != nil {
			return nil, err
		}
		*part.into = tensorfile.Tensor{Type: t.Type(), Data: data}.Float64s()
	}
	if a.Transposed {
		return out.transposed(l.Out), nil
	}
	return out, nil
}

// RatiosOf finds the layer whose Ratios are the weight at a path.
func (a *Adapter) RatiosOf(path string) (Layer, bool) {
	for _, l := range a.Layers {
		if l.Magnitude && train.AdapterOf(l.Path).Ratio == path {
			return l, true
		}
	}
	return Layer{}, false
}

// Ratios are the magnitude of a layer over the norms of the rows of its weight,
// whose tensor in c has this name, with the difference added.
func (a *Adapter) Ratios(l Layer, c *checkpoint.Checkpoint, name string) ([]float64, error) {
	low, err := a.LowRank(l)
	if err != nil {
		return nil, err
	}
	data, err := c.View(name)
	if err != nil {
		return nil, err
	}
	t, _ := c.Lookup(name)
	out, d, bytes := make([]float64, l.Out), make([]float64, l.In), l.In*t.DType.Size()
	for row := range out {
		low.Delta(row, d)
		var sum float64
		for i, w := range (tensorfile.Tensor{Type: ir.T(t.DType, l.In), Data: data[row*bytes : (row+1)*bytes]}).Float64s() {
			sum += (w + d[i]) * (w + d[i])
		}
		out[row] = low.Magnitude[row] / math.Sqrt(sum)
		if math.IsNaN(out[row]) || math.IsInf(out[row], 0) {
			return nil, errorf(a.Dir, "%s: the magnitude of row %d over its norm is %v", l.Path, row, out[row])
		}
	}
	return out, nil
}

func errorf(file, format string, args ...any) error {
	return &checkpoint.Error{File: file, Msg: fmt.Sprintf(format, args...)}
}
