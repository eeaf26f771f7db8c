package onnx_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/onnx"
	"pipe.dev/kernels/cases"
)

var casesFolder = flag.String("cases", "", "TestExportCases writes its files and results to this folder")

// refused are the operations of which some uses can't be written: those of a
// training, sequences that are continued, and memories that run along one.
var refused = []string{"conv_weight_grad", "window_max", "monotonic_path", "scan", "cache_append"}

// unlike are cases whose tolerance is wider: angles of 1e13 have no digits left
// for their sine where turns are taken off in float64.
var unlike = map[string]float64{"rope_table quick": 1e-2}

// open are names of the sizes of the first input, of operations whose files
// compute something from sizes that stay open.
var open = map[string][]string{"expert_choice": {"batch", "seq"}, "unfold": {"batch"}, "fold": {"batch"}}

// openSizes is a case with sizes that are not known.
func openSizes(name string, c op.Case) op.Case {
	for i, size := range open[name] {
		c.In = slices.Clone(c.In)
		c.In[0].Shape = slices.Clone(c.In[0].Shape)
		c.In[0].Shape[i] = ir.Sym(size)
	}
	return c
}

// caseGraph is one use of an operation, whose inputs are those of the graph.
func caseGraph(table *op.Table, name string, c op.Case) (*ir.Graph, error) {
	b := op.NewBuilder(table)
	var in []ir.Value
	for i, t := range c.In {
		if t.DType == ir.Invalid {
			in = append(in, ir.Value{})
			continue
		}
		in = append(in, b.Graph.AddInput(fmt.Sprintf("x%d", i), t, ir.Pos{}))
	}
	for i, y := range b.Apply(name, c.Attr, in...) {
		b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: fmt.Sprintf("y%d", i), Value: y})
	}
	return b.Graph, b.Err()
}

// Every case of every operation is written, or refused by name. With -cases,
// files and results in float64 go to a folder, for make compare-onnx.
func TestExportCases(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	var lacks []string
	tolerances := map[string]float64{}
	for _, d := range table.Defs() {
		for i, c := range d.Cases {
			empty := slices.ContainsFunc(c.In, func(t ir.Type) bool { return t.Elems() == 0 && t.DType != ir.Invalid })
			if c.Large || empty || d.Name == "dropout" || d.Name == "within_capacity" { // which models that don't learn lack
				continue
			}
			g, err := caseGraph(table, d.Name, c)
			if err != nil {
				t.Fatal(d.Name, err)
			}
			written, err := caseGraph(table, d.Name, openSizes(d.Name, c))
			if err != nil {
				t.Fatal(d.Name, err)
			}
			data, err := exported(table, written, nil)
			if err != nil {
				if !strings.Contains(err.Error(), "ONNX") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v", d.Name, err)
				}
				if !slices.Contains(lacks, d.Name) {
					lacks = append(lacks, d.Name)
				}
				continue
			}
			m, err := onnx.Read(data)
			if err != nil || len(m.Graph.Outputs) != len(g.Outputs) || len(m.Graph.Inputs) != len(g.Inputs) || m.Opsets[""] != onnx.Opset {
				t.Errorf("%s %s: %v: %+v", d.Name, c.Name, err, m)
			}
			narrow := slices.ContainsFunc(append(slices.Clone(c.In), g.Outputs[0].Value.Type()), func(t ir.Type) bool { return t.DType == ir.BF16 })
			if *casesFolder != "" && !narrow { // NumPy has no such values
				name := fmt.Sprintf("%s.%02d", d.Name, i)
				tolerances[name] = max(c.Tol, unlike[d.Name+" "+c.Name])
				writeCase(t, table, g, c, d.Name, filepath.Join(*casesFolder, name), data)
			}
		}
	}
	if !slices.Equal(lacks, refused) {
		t.Errorf("refused are %q, want %q", lacks, refused)
	}
	if *casesFolder != "" {
		text, err := json.Marshal(tolerances)
		if err == nil {
			err = os.WriteFile(filepath.Join(*casesFolder, "tolerances.json"), text, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// exported lowers a graph and writes it.
func exported(table *op.Table, g *ir.Graph, weight func(*ir.State, io.Writer) error) ([]byte, error) {
	p, err := compiler.Optimize(g, table, compiler.Options{Target: onnx.Target{}})
	if err != nil {
		return nil, err
	}
	e := &onnx.Export{Name: "test", Graph: p.Graph(), Weight: weight, Metadata: map[string]string{"k": "v"}}
	if err := e.Prepare(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = e.Write(&b, nil)
	return b.Bytes(), err
}

// writeCase writes a file, its inputs and its results.
func writeCase(t *testing.T, table *op.Table, g *ir.Graph, c op.Case, name, path string, data []byte) {
	t.Helper()
	values, _ := cases.Sample(name, c, c.In)
	inputs := map[string][]float64{}
	var list []checkpoint.Data
	for _, v := range g.Inputs {
		var i int
		if _, err := fmt.Sscanf(v.Node.InputName(), "x%d", &i); err != nil {
			t.Fatal(err)
		}
		inputs[v.Node.InputName()] = values[i]
		typ := v.Type()
		if typ.DType == ir.I32 {
			typ.DType = ir.I64
		}
		list = append(list, checkpoint.Data{Name: "in." + v.Node.InputName(), Type: typ, Bytes: cases.Encode(typ.DType, values[i])})
	}
	want, err := op.Eval(table, g, inputs, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range g.Outputs {
		list = append(list, checkpoint.Data{Name: "out." + o.Name, Type: o.Value.Type().As(ir.F64), Bytes: cases.Encode(ir.F64, want[o.Name])})
	}
	if err := os.WriteFile(path+".onnx", data, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Write(path+".safetensors", list, nil); err != nil {
		t.Fatal(err)
	}
}
