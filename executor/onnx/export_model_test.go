package onnx_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/model"
	"pipe.dev/executor/onnx"
	"pipe.dev/schema"
)

var update = flag.Bool("update", false, "write testdata/exports.txt anew")

const golden = "../../testdata/golden/"

// opened is a model ready to be written.
func opened(t testing.TB, path string) (*model.Model, *onnx.Export) {
	t.Helper()
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(model.Options{Name: "m", Dir: path, Backend: onnx.Target{}, Compile: func(m *schema.Model, e plan.Entry, w model.Weights) (model.Program, error) {
		return compiler.Compile(m, table, compiler.Options{Entry: e, Target: onnx.Target{}, Weight: w.DType})
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	g, err := m.Graph(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m, &onnx.Export{Name: filepath.Base(path), Graph: g, Outputs: map[string]string{"out": "logits"}, Weight: m.WriteWeight}
}

// summed are models whose operations are listed in testdata/exports.txt: what make
// compare-onnx proved.
var summed = []string{"bert", "gemma2", "gpt2", "llama", "phi3_long"}

// Models keep their weights bit for bit and their open sizes, and are written
// the same each time.
func TestExportModels(t *testing.T) {
	folders, err := filepath.Glob(golden + "*/*/config.json")
	if err != nil || len(folders) < 20 {
		t.Fatal(folders, err)
	}
	var lines []string
	for _, config := range folders {
		dir := filepath.Dir(config)
		if name := filepath.Base(filepath.Dir(dir)); name != "arch" && name != "encoder" {
			continue
		}
		m, e := opened(t, dir)
		if err := e.Prepare(); err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		var file bytes.Buffer
		if err := e.Write(&file, nil); err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if err := e.Write(&again, nil); err != nil || !bytes.Equal(file.Bytes(), again.Bytes()) {
			t.Errorf("%s: written again, it differs: %v", dir, err)
		}
		read, err := onnx.Read(file.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if in, out := read.Graph.Inputs, read.Graph.Outputs; len(in) == 0 || in[0].String() != "ids I64[batch, seq]" || len(out) != 1 || !strings.HasPrefix(out[0].String(), "logits F32[batch, seq, ") {
			t.Errorf("%s: inputs %v, outputs %v", dir, in, out)
		}
		sameWeights(t, m, dir, file.Bytes(), read)
		counts := read.Ops()
		var ops []string
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			ops = append(ops, fmt.Sprintf("%s %d", name, counts[name]))
		}
		if slices.Contains(summed, filepath.Base(dir)) {
			lines = append(lines, fmt.Sprintf("%s\n\t%s\n", filepath.Base(dir), strings.Join(ops, ", ")))
		}
	}
	text := strings.Join(lines, "")
	if *update {
		if err := os.WriteFile("testdata/exports.txt", []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/exports.txt")
	if err != nil || string(want) != text {
		t.Errorf("%v: operations changed: run make compare-onnx, and then this test with -update; have\n%s", err, text)
	}
}

// sameWeights compares initializers with the tensors of a folder, where these are
// not stacks and not quantised.
func sameWeights(t *testing.T, m *model.Model, dir string, file []byte, read *onnx.Model) {
	t.Helper()
	c, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	same := 0
	for _, x := range read.Tensors {
		name := c.Name(x.Name, m.Arch().Prefixes)
		from, ok := c.Lookup(name)
		if !ok || from.Raw != x.DType {
			continue
		}
		data, err := c.View(name)
		if err != nil || !bytes.Equal(data, file[x.Offset:x.Offset+x.Bytes]) || !slices.Equal(from.Shape, x.Shape) {
			t.Errorf("%s: %s differs: %v", dir, x.Name, err)
		}
		same++
	}
	if same < 5 {
		t.Errorf("%s: %d weights are those of the folder", dir, same)
	}
}

// Weights beside the model lie at whole pages, where the model says.
func TestExportBeside(t *testing.T) {
	dir := t.TempDir()
	_, e := opened(t, golden+"arch/llama_f16")
	e.Beside = "m.onnx.data"
	if err := e.Prepare(); err != nil {
		t.Fatal(err)
	}
	var file, beside bytes.Buffer
	if err := e.Write(&file, &beside); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*bytes.Buffer{"m.onnx": &file, "m.onnx.data": &beside} {
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := checkpoint.Open(filepath.Join(dir, "m.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	want, err := checkpoint.Open(golden + "arch/llama_f16")
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	for _, x := range want.Tensors() {
		a, err1 := want.View(x.Name)
		b, err2 := got.View(x.Name)
		if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: %v %v", x.Name, err1, err2)
		}
	}
	if file.Len() > 80_000 {
		t.Errorf("the model has %d bytes", file.Len())
	}
}

// What is too large for one file is told before anything is written, and
// weights pass through in pieces.
func TestExportLarge(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	b := op.NewBuilder(table)
	x := b.Graph.AddInput("x", ir.Type{DType: ir.F32, Shape: []ir.Dim{ir.Sym("batch"), ir.D(1 << 16)}}, ir.Pos{})
	w := b.Graph.AddState(ir.State{Path: "w.weight"}, ir.T(ir.F32, 1<<14, 1<<16))
	b.Graph.Outputs = []ir.Output{{Name: "y", Value: b.Apply("linear", op.LinearAttr{OutFeatures: 1 << 14}, x, w.Read)[0]}}
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	e := &onnx.Export{Graph: b.Graph, Weight: func(s *ir.State, w io.Writer) error {
		zeros := make([]byte, 1<<20)
		for range s.Read.Type().Bytes() >> 20 {
			if _, err := w.Write(zeros); err != nil {
				return err
			}
		}
		return nil
	}}
	if err := e.Prepare(); err == nil || !strings.Contains(err.Error(), "one ONNX file holds 2 GiB") {
		t.Errorf("%v", err)
	}
	e.Beside = "w.data"
	if err := e.Prepare(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := e.Write(io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 4<<20 {
		t.Errorf("%d bytes were allocated for a weight of 4 GiB", after.TotalAlloc-before.TotalAlloc)
	}
}

// A size that no input has can't be read when the file runs.
func TestExportUnknownSize(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	b := op.NewBuilder(table)
	b.Pos = ir.Pos{File: "m.cue", Line: 3, Col: 2, Path: "m.fill"}
	b.Graph.Outputs = []ir.Output{{Name: "y", Value: b.Fill(1, ir.F32, ir.Sym("batch"))}}
	e := &onnx.Export{Graph: b.Graph}
	if err := e.Prepare(); err == nil || err.Error() != `m.cue:3:2: m.fill: fill: no input says how large "batch" is` {
		t.Errorf("%v", err)
	}
}
