package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/convert"
	"pipe.dev/executor/hub"
	"pipe.dev/executor/model"
	"pipe.dev/executor/onnx"
	"pipe.dev/schema"
)

// onnxFlags are the flags of pipe convert for graphs.
type onnxFlags struct {
	set    []string
	take   []string
	beside bool
}

func (f *onnxFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "of a document whose model becomes .onnx: set an input or a path, NAME=VALUE, may be repeated")
	cmd.Flags().StringArrayVar(&f.take, "take", nil, "of .onnx: a `NODE` whose value is a result besides the model's, may be repeated")
	cmd.Flags().BoolVar(&f.beside, "external", false, "of .onnx: the weights lie in a file beside, OUT.data, as they must beyond 2 GiB")
}

// any reports whether one of the flags was given.
func (f *onnxFlags) any() bool { return len(f.set)+len(f.take) > 0 || f.beside }

// isONNX reports whether a path says that it is to be an ONNX file.
func isONNX(path string) bool { return strings.EqualFold(filepath.Ext(path), ".onnx") }

// exportONNX writes the graph and the weights of a model.
func exportONNX(cmd *cobra.Command, c *console, f onnxFlags, o convert.Options) (*convert.Report, error) {
	if _, err := os.Lstat(o.Out); err == nil && !o.Force {
		return nil, &checkpoint.Error{File: o.Out, Msg: "exists already; --force replaces it"}
	}
	opt, hash, err := modelOf(o.In, f.set)
	if err != nil {
		return nil, err
	}
	table, err := op.New()
	if err != nil {
		return nil, err
	}
	opt.Backend, opt.Compile = onnx.Target{}, compileONNX(table, o.DType)
	m, err := model.Open(opt)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	g, err := m.Graph(f.take)
	if err != nil {
		if strings.HasPrefix(err.Error(), "take: ") {
			return nil, usagef(cmd, "--%v", err)
		}
		return nil, err
	}
	r := &convert.Report{In: o.In, Out: o.Out, DTypes: map[string]int{}}
	for _, s := range g.States {
		t := s.Read.Type()
		r.Tensors, r.Parameters, r.After = r.Tensors+1, r.Parameters+int64(t.Elems()), r.After+t.Bytes()
		r.DTypes[strings.ToUpper(t.DType.String())]++
		r.Before += m.StoredBytes(s)
	}
	e := &onnx.Export{Name: m.Arch().Name, Graph: g, Producer: thisBuild().Version, Outputs: map[string]string{"out": m.Arch().OutName()},
		Metadata: aboutModel(m.Arch(), hash)}
	done := int64(0)
	e.Weight = func(s *ir.State, w io.Writer) error {
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		done += s.Read.Type().Bytes()
		o.Progress(done, r.After)
		return m.WriteWeight(s, w)
	}
	if f.beside {
		e.Beside = filepath.Base(o.Out) + ".data"
	}
	if err := e.Prepare(); err != nil {
		if is[*onnx.TooLargeError](err) {
			return nil, &checkpoint.Error{File: o.Out, Msg: err.Error() + " (--external)"}
		}
		return nil, err
	}
	return r, writeONNX(e, o.Out, r)
}

// writeONNX writes the file, and that of the weights, which is put in place first.
func writeONNX(e *onnx.Export, out string, r *convert.Report) error {
	files := []string{out}
	write := func(w io.Writer) error { return e.Write(w, nil) }
	if e.Beside != "" {
		beside := filepath.Join(filepath.Dir(out), e.Beside)
		files = append(files, beside)
		write = func(w io.Writer) error {
			return checkpoint.Replace(beside, func(b io.Writer) error { return e.Write(w, b) })
		}
	}
	if err := checkpoint.Replace(out, write); err != nil {
		return err
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			return checkpoint.FileError(name, err)
		}
		r.Files = append(r.Files, convert.File{Path: name, Bytes: info.Size()})
	}
	return nil
}

// modelOf says which model to open: that at a path, or the only one of a
// document; hash is the document's, if there is one.
func modelOf(path string, set []string) (o model.Options, hash string, err error) {
	switch {
	case filepath.Base(path) == schema.ModelFile:
		path = filepath.Dir(path)
		fallthrough
	case filepath.Ext(path) != ".cue":
		return model.Options{Name: path, Dir: path}, "", nil
	}
	doc, err := schema.Load(path, schema.Options{Set: set, Unset: true})
	if err != nil {
		return o, "", documentError(err)
	}
	if doc.Pipeline == nil || len(doc.Pipeline.Models) != 1 {
		return o, "", &schema.Error{Pos: ir.Pos{File: path, Line: 1, Col: 1}, Msg: "is no pipeline with one model, which an ONNX file is made of"}
	}
	ref := doc.Pipeline.Models[0]
	if ref.Weights.Default != "" || len(ref.Weights.Layers) > 0 {
		return o, "", &schema.Error{Pos: ref.Pos, Msg: "asks for weights in blocks, which ONNX files don't get: leave weights and layer_weights out"}
	}
	if unsaid(doc.Pipeline, ref, set) {
		return o, "", &schema.Error{Pos: ref.Pos, Msg: "comes from an input that has no value", Hint: "give it by --set"}
	}
	o = model.Options{Name: "models." + ref.Name}
	if o.Dir, err = hub.Folder(ref.From); err != nil {
		return o, "", err
	}
	o.Adapter, err = hub.Folder(ref.Adapter)
	return o, doc.Hash, err
}

// unsaid reports whether a model comes from an input that nobody gave a value:
// what stands for it then is no folder.
func unsaid(p *schema.Pipeline, ref schema.ModelRef, set []string) bool {
	_, err := os.Stat(ref.From)
	return err != nil && slices.ContainsFunc(p.Inputs, func(i schema.Input) bool {
		given := slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, i.Name+"=") })
		return i.Type == "model" && i.Value == ref.From && !given
	})
}

// compileONNX returns what compiles a model for ONNX; weights are stored in a
// type, or, if that is Invalid, as the model has them.
func compileONNX(table *op.Table, dtype ir.DType) model.Compile {
	return func(m *schema.Model, entry plan.Entry, w model.Weights) (model.Program, error) {
		o := compiler.Options{Entry: entry, Target: onnx.Target{}, Weight: w.DType}
		if dtype != ir.Invalid {
			o.Weight = func(string) (ir.DType, bool) { return dtype, true }
		}
		o.Adapter = adapterOf(w.Adapter)
		return compiler.Compile(m, table, o)
	}
}

// aboutModel is what an ONNX file says of its origin; hash is that of the
// document, "" for a folder or file, whose config counts.
func aboutModel(m *schema.Model, hash string) map[string]string {
	b := thisBuild()
	about := map[string]string{"pipe.version": strings.TrimSpace(b.Version + " " + b.Revision)}
	if m.Arch != "" {
		about["pipe.architecture"] = m.Arch
	}
	if config, err := json.Marshal(m.Config); err == nil && len(m.Config) > 0 {
		about["pipe.config"] = string(config)
		hash = cmp.Or(hash, fmt.Sprintf("sha256:%x", sha256.Sum256(config)))
	}
	if hash != "" {
		about["pipe.document"] = hash
	}
	return about
}

// sortedTypes lists counts of types as text.
func sortedTypes(counts map[string]int) string {
	var types []string
	for _, d := range slices.Sorted(maps.Keys(counts)) {
		types = append(types, fmt.Sprintf("%d %s", counts[d], d))
	}
	return strings.Join(types, ", ")
}
