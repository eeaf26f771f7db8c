// Package quantize writes a model as a file in the format GGUF, its weights
// rounded to nearest in blocks, and says what each of them lost.
//
// It reads a model's folder, a GGUF file, or draws weights, one tensor at a
// time: memory is bounded by the largest. What a block is, is said in
// kernels/quant; how an architecture lies in GGUF, in CUE.
package quantize

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/gguf"
	"pipe.dev/kernels/quant"
)

// Options say what to write.
type Options struct {
	Out      string
	Type     string  // of matrices
	Layers   []Layer // what differs; the last that matches counts
	Fallback string  // the type of matrices whose rows are no whole blocks; "" is an error
	Force    bool    // replace a file that is there
	Threads  int     // 0: one for each core
	Progress func(done, total int64)
}

// Layer is a choice for tensors whose name, in the file or in the model,
// matches a pattern, in which * stands for any text.
type Layer struct{ Pattern, Type string }

// Report says what was written.
type Report struct {
	Out      string   `json:"out"`
	Before   int64    `json:"bytes_before"` // of the tensors that were read
	After    int64    `json:"bytes_after"`  // of the tensors in the file
	File     int64    `json:"file_bytes"`
	Weights  int64    `json:"weights"`
	Bits     float64  `json:"bits_per_weight"`
	Relative float64  `json:"relative_error"` // of all weights together
	Tensors  []Tensor `json:"tensors"`        // in the order of the file
	Warnings []string `json:"warnings,omitempty"`
	// Perplexity is that of a text before and after; nil if none was given.
	Perplexity *Compared `json:"perplexity,omitempty"`
}

// Tensor is one that was written. Relative is |w - q| / |w|, of the roots of
// squares.
type Tensor struct {
	Name     string  `json:"name"`
	Path     string  `json:"path,omitempty"` // of the weight in the model, if it is another
	From     string  `json:"from"`
	Type     string  `json:"type"`
	Shape    []int64 `json:"shape"`
	Bits     float64 `json:"bits_per_weight"`
	Bytes    int64   `json:"bytes"`
	Relative float64 `json:"relative_error"`
	Greatest float64 `json:"greatest_error"`
	Fallback bool    `json:"fallback,omitempty"`
}

// Source is a model to write.
type Source struct {
	metadata []gguf.Pair
	items    []item
	warnings []string
	close    func() error
}

// Close gives its files back.
func (s *Source) Close() error { return s.close() }

// item is a tensor to write.
type item struct {
	name, path string // in the file; in the model
	from       string // what it is stored as
	bytes      int64  // as it is stored
	shape      []int64
	heads      int // whose rows go into pairs; 0 if they stay
	keep       bool
	// open returns what reads rows, and what says that none is read any more.
	open func() (read func(dst []float32, row int64) error, done func(), err error)
	raw  func() ([]byte, error) // as it is stored; nil if it is drawn or computed
}

func (it *item) row() int64 { return it.shape[len(it.shape)-1] }
func (it *item) elems() int64 {
	n := int64(1)
	for _, s := range it.shape {
		n *= s
	}
	return n
}

// Types are the types of matrices that can be written.
func Types() []string {
	types := []string{"f32", "f16", "bf16"}
	for _, f := range quant.Formats() {
		if _, ok := gguf.TypeOf(f.Name); ok {
			types = append(types, f.Name)
		}
	}
	return types
}

// fileTypes are the numbers of general.file_type, by the type of most
// matrices.
var fileTypes = map[string]uint32{"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q8_0": 7, "q5_0": 8, "q5_1": 9, "q2_k": 10, "q3_k": 11, "q4_k": 14,
	"q5_k": 16, "q6_k": 18, "iq4_nl": 25, "bf16": 32}

// Run writes a model. The file at o.Out is there whole or not at all.
func Run(ctx context.Context, s *Source, o Options) (*Report, error) {
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if _, err := os.Lstat(o.Out); err == nil && !o.Force {
		return nil, &checkpoint.Error{File: o.Out, Msg: "exists already; --force replaces it"}
	}
	if info, err := os.Stat(filepath.Dir(o.Out)); err != nil {
		return nil, checkpoint.FileError(filepath.Dir(o.Out), err)
	} else if !info.IsDir() {
		return nil, &checkpoint.Error{File: filepath.Dir(o.Out), Msg: "is no folder"}
	}
	r := &Report{Out: o.Out, Warnings: s.warnings}
	j := &job{ctx: ctx, o: o, report: r}
	if err := j.choose(s.items); err != nil {
		return nil, err
	}
	var data []gguf.Data
	for i := range s.items {
		it, t := &s.items[i], &r.Tensors[i]
		kind, _ := gguf.TypeOf(t.Type)
		data = append(data, gguf.Data{Name: it.name, Type: kind, Shape: it.shape, Write: func(w io.Writer) error { return j.write(w, it, t) }})
	}
	metadata := slices.DeleteFunc(slices.Clone(s.metadata), func(p gguf.Pair) bool {
		return p.Key == "general.file_type" || p.Key == "general.quantization_version"
	})
	metadata = append(metadata, gguf.Pair{Key: "general.file_type", Value: fileTypes[o.Type]}, gguf.Pair{Key: "general.quantization_version", Value: uint32(2)})
	err := checkpoint.Replace(o.Out, func(w io.Writer) error { return gguf.Write(w, metadata, data) })
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(o.Out)
	if err != nil {
		return nil, checkpoint.FileError(o.Out, err)
	}
	r.File = info.Size()
	r.sum(j.squares, j.total)
	return r, nil
}

// job is a file in the making.
type job struct {
	ctx            context.Context
	o              Options
	report         *Report
	done, all      int64   // weights
	squares, total float64 // of errors and of weights
}

// choose says what every tensor becomes.
func (j *job) choose(items []item) error {
	used := make([]bool, len(j.o.Layers))
	for i := range items {
		it := &items[i]
		t := Tensor{Name: it.name, From: it.from, Shape: it.shape, Type: j.o.Type}
		if it.path != it.name {
			t.Path = it.path
		}
		asked := false
		for k, l := range j.o.Layers {
			if matches(l.Pattern, it.name) || matches(l.Pattern, it.path) {
				t.Type, asked, used[k] = l.Type, true, true
			}
		}
		if len(it.shape) < 2 || it.keep && !asked {
			t.Type = "f32"
		}
		j.report.Tensors = append(j.report.Tensors, t)
	}
	if k := slices.Index(used, false); k >= 0 {
		return fmt.Errorf("--layer %s=%s: no tensor of the model matches", j.o.Layers[k].Pattern, j.o.Layers[k].Type)
	}
	for i := range items {
		it, t := &items[i], &j.report.Tensors[i]
		if err := j.fit(it, t); err != nil {
			return err
		}
		t.Bytes = bytesOf(t.Type, it.elems())
		t.Bits = 8 * float64(t.Bytes) / float64(max(1, it.elems()))
		j.report.Before += it.bytes
		j.report.After += t.Bytes
		j.report.Weights += it.elems()
		j.all += it.elems()
	}
	return nil
}

// fit proves that rows are whole blocks, or takes the fallback.
func (j *job) fit(it *item, t *Tensor) error {
	block := blockOf(t.Type)
	if it.row()%block == 0 {
		return nil
	}
	fact := fmt.Sprintf("tensor %s: rows of %d weights are no whole blocks of", it.name, it.row())
	near := "f16"
	if it.row()%32 == 0 {
		near = "q8_0"
	}
	if j.o.Fallback == "" {
		return fmt.Errorf("%s %d, as %s wants: give it another type (--layer '%s=%s') or all such (--fallback %s)", fact, block, t.Type, it.name, near, near)
	}
	if block := blockOf(j.o.Fallback); it.row()%block != 0 {
		return fmt.Errorf("%s %d, as the fallback %s wants: choose f16", fact, block, j.o.Fallback)
	}
	t.Type, t.Fallback = j.o.Fallback, true
	return nil
}

// matches reports whether a pattern matches a whole name, which has dots and
// no slashes.
func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// blockOf is the number of weights in a block of a type.
func blockOf(name string) int64 {
	kind, _ := gguf.TypeOf(name)
	n, _ := kind.Block()
	return max(1, n)
}

func bytesOf(name string, elems int64) int64 {
	kind, _ := gguf.TypeOf(name)
	n, bytes := kind.Block()
	return elems / n * bytes
}

// sum adds up.
func (r *Report) sum(squares, total float64) {
	r.Bits = 8 * float64(r.After) / float64(max(1, r.Weights))
	r.Relative = relative(squares, total)
}

// CheckType says whether a type can be written.
func CheckType(name string) error {
	if slices.Contains(Types(), name) {
		return nil
	}
	return fmt.Errorf("there is no type %q in GGUF: want one of %s", name, strings.Join(Types(), ", "))
}

// dtypeOf is the element type of a name, Invalid for blocks.
func dtypeOf(name string) ir.DType {
	d, err := ir.ParseDType(name)
	if err != nil {
		return ir.Invalid
	}
	return d
}
