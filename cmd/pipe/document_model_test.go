package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

const documentModel = `package m

import (
	"pipe.dev/schema/op"
	"pipe.dev/schema/pipeline"
)

net: op.#Model & {
	nodes: {
		x: op.#Input & {shape: ["n", "m", 2]}
		k: op.#Input & {dtype: "i32", shape: []}
		l: op.#Linear & {x: nodes.x.out, out_features: 2, bias: true}
		float: op.#Cast & {x: nodes.k.out, dtype: "f32"}
		times: op.#Mul & {a: nodes.l.out, b: nodes.float.out}
	}
	out: nodes.l.out
	outputs: {plain: nodes.l.out, scaled: nodes.times.out}
}

call: pipeline.#Pipeline & {
	name: "call"
	inputs: {x: type: "tensor", k: type: "tensor"}
	models: model: from: "{here}"
	nodes: run: pipeline.#Run & {model: models.model.out, with: {x: inputs.x.out, k: inputs.k.out}}
	outputs: tensors: {from: nodes.run.out, type: "tensors"}
}
`

// A folder may hold a model as a document, with results by name and inputs of
// any shape; a document finds the folder that it lies in.
func TestDocumentModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	document := filepath.Join(dir, "net", "model.cue")
	if err := os.MkdirAll(filepath.Dir(document), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(document, []byte(documentModel), 0o644); err != nil {
		t.Fatal(err)
	}
	floats := func(v ...float64) []byte { return tensorfile.AppendFloats(nil, ir.F32, v...) }
	err := checkpoint.Write(filepath.Join(dir, "net", "model.safetensors"), []checkpoint.Data{
		{Name: "l.weight", Type: ir.T(ir.F32, 2, 2), Bytes: floats(1, 2, 3, 4)},
		{Name: "l.bias", Type: ir.T(ir.F32, 2), Bytes: floats(10, 20)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	x, k, flat := filepath.Join(dir, "x.npy"), filepath.Join(dir, "k.npy"), filepath.Join(dir, "flat.npy")
	for file, v := range map[string]tensorfile.Tensor{x: tensorfile.FromFloat32s("x", []float32{1, 0, 0, 1, 1, 1}, 1, 3, 2),
		k: tensorfile.FromInt32s("k", []int32{2}), flat: tensorfile.FromFloat32s("x", []float32{1, 0}, 1, 2)} {
		if err := tensorfile.Write(file, []tensorfile.Tensor{v}); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out.npz")
	if code, _, errs := pipeCommand("run", document, "--quiet", "--set", "x="+x, "--set", "k="+k, "--out", out); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	got := tensortest.Read(t, out)
	for name, want := range map[string][]float64{"plain": {11, 23, 12, 24, 13, 27}, "scaled": {22, 46, 24, 48, 26, 54}} {
		if !slices.Equal(got[name].Float64s(), want) {
			t.Errorf("%s is %v, want %v", name, got[name].Float64s(), want)
		}
	}
	if code, _, errs := pipeCommand("run", document, "--set", "x="+flat, "--set", "k="+k); code == 0 || !strings.Contains(errs, "with.x is f32[1,2], want [n,m,2]") {
		t.Errorf("a tensor of two axes gives %d: %s", code, errs)
	}
	if code, out, errs := pipeCommand("check", document); code != 0 || !strings.Contains(out, "ok ") {
		t.Errorf("check gives %d: %s%s", code, out, errs)
	}
	wrong := strings.Replace(documentModel, "scaled: nodes.times.out", `scaled: "tiems"`, 1)
	if err := os.WriteFile(document, []byte(wrong), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := pipeCommand("check", document); code != 3 || !strings.Contains(errs, `outputs.scaled`) || !strings.Contains(errs, "did you mean times?") {
		t.Errorf("an output of nothing gives %d: %s", code, errs)
	}
}
