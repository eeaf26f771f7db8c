package convert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"pipe.dev/compiler/op"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/onnx"
	"pipe.dev/executor/onnx/lift"
	"pipe.dev/schema"
)

// isGraph reports whether a conversion makes a model of a graph: of an ONNX file, into a folder.
func isGraph(o Options, s sink) bool {
	return s.name == "folder" && strings.EqualFold(filepath.Ext(o.In), ".onnx")
}

// runGraph writes a model as a document and its weights.
func runGraph(ctx context.Context, o Options) (*Report, error) {
	if o.Shard > 0 || o.Under != "" || o.DType != 0 {
		return nil, &checkpoint.Error{File: o.In, Msg: "is a graph, whose weights are written as they are; to a .safetensors its tensors can be converted alone"}
	}
	f, err := checkpoint.OpenFile(o.In)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := checkpoint.Open(o.In) // proves the file, and those beside it
	if err != nil {
		return nil, err
	}
	defer c.Close()
	data, err := f.View(0, f.Size())
	if err != nil {
		return nil, err
	}
	m, err := onnx.Read(data)
	if err != nil {
		return nil, checkpoint.FileError(o.In, err)
	}
	table, err := op.New()
	if err != nil {
		return nil, err
	}
	values := func(t *onnx.Tensor) ([]byte, error) {
		if t.External == "" {
			return t.Data()
		}
		data, err := c.View(t.Name)
		c.Release(t.Name)
		return data, err
	}
	model, err := lift.Lift(m, lift.Options{Table: table, Fix: o.Fix, Rename: o.Rename, Values: values})
	if err != nil {
		return nil, checkpoint.FileError(o.In, err)
	}
	r := &Report{In: o.In, Out: o.Out, DTypes: map[string]int{}, Before: f.Size()}
	names, err := inFolder(o.Out, func(dir string) ([]string, error) { return writeGraph(ctx, o, m, model, dir, r) })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, checkpoint.FileError(o.Out, err)
	}
	return r, r.list(names)
}

var notName = regexp.MustCompile(`[^a-z0-9._-]+`)

// writeGraph writes the document and the weights, and proves the document.
func writeGraph(ctx context.Context, o Options, m *onnx.Model, model *lift.Model, dir string, r *Report) ([]string, error) {
	base := filepath.Base(o.In)
	about := fmt.Sprintf("Made of %s (opset %d%s) by pipe convert.", base, m.Opsets[""], made(m.Producer))
	for _, name := range slices.Sorted(maps.Keys(o.Fix)) {
		about += fmt.Sprintf("\n%s is fixed: %v.", name, o.Fix[name])
	}
	for _, name := range slices.Sorted(maps.Keys(o.Rename)) {
		about += fmt.Sprintf("\nThe size %s is called %s.", name, o.Rename[name])
	}
	name := strings.Trim(notName.ReplaceAllString(strings.ToLower(strings.TrimSuffix(base, filepath.Ext(base))), "-"), "._-")
	if name == "" {
		name = "model"
	}
	text, err := model.Document(name, about)
	if err == nil {
		text, err = schema.Format(text)
	}
	if err != nil {
		return nil, err
	}
	document := filepath.Join(dir, schema.ModelFile)
	if err := os.WriteFile(document, text, 0o644); err != nil {
		return nil, err
	}
	if _, err := schema.LoadModel(dir); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	var list []checkpoint.Tensor
	byName := map[string]*lift.Weight{}
	for i := range model.Weights {
		w := &model.Weights[i]
		byName[w.Name] = w
		list = append(list, checkpoint.Tensor{Name: w.Name, Raw: w.DType, Shape: w.Shape, Bytes: w.Bytes()})
		r.Tensors++
		r.Parameters += elems(w.Shape)
		r.After += w.Bytes()
		r.DTypes[w.DType]++
	}
	const weights = "model.safetensors"
	done := int64(0)
	err = checkpoint.Replace(filepath.Join(dir, weights), func(out io.Writer) error {
		return checkpoint.StreamTensors(out, list, map[string]string{"format": "pt"}, func(t checkpoint.Tensor, out io.Writer) error {
			data, err := byName[t.Name].Values()
			if err == nil {
				_, err = out.Write(data)
			}
			if done += int64(len(data)); o.Progress != nil {
				o.Progress(done, r.After)
			}
			return errors.Join(err, ctx.Err())
		})
	})
	return []string{schema.ModelFile, weights}, err
}

func made(producer string) string {
	if producer = strings.Join(strings.Fields(producer), " "); producer == "" || len(producer) > 80 {
		return ""
	}
	return ", made by " + producer
}
