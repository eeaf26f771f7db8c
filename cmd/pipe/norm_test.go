package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
)

const normRecipe = `package x

import (
	"pipe.dev/schema/op"
	"pipe.dev/schema/train"
)

_net: op.#Model & {
	nodes: {
		points: op.#Input & {shape: ["batch", 2]}
		norm: op.#BatchNorm & {x: points.out, affine: false}
		y: op.#Linear & {x: norm.out, out_features: 2, bias: true}
	}
	out: nodes.y.out
}

r: train.#Recipe & {
	name: "norm"
	model: graph: _net
	data: train: [{files: ["recipes/data/ring.csv"], format: "columns", columns: points: ["x", "y"], validation: 0.1}]
	batch: batch: 64
	optimizer: {name: "adamw", lr: 1e-2}
	schedule: name: "constant"
	objective: {name: "mse", inputs: targets: _net.nodes.points.out}
	train: steps: 80
	eval: every: 40
	save: every: 40
	ema: decay: 0.9
}
`

// TestBatchNorm trains a norm over the batch: its running statistics become those of the data, decay
// and averages leave them alone, and the bits do not depend on the number of threads.
func TestBatchNorm(t *testing.T) {
	inRoot(t)
	file := filepath.Join(t.TempDir(), "norm.cue")
	if err := os.WriteFile(file, []byte(normRecipe), 0o600); err != nil {
		t.Fatal(err)
	}
	r := train(t, file, t.TempDir(), "--threads", "1")
	list, err := tensorfile.Read(filepath.Join(r.Run, "model", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, x := range list {
		for i, v := range x.Float64s() {
			switch {
			case strings.HasSuffix(x.Name, "norm.running_mean"):
				if found++; math.Abs(v) > 0.1 {
					t.Errorf("mean %d is %v, want about 0", i, v)
				}
			case strings.HasSuffix(x.Name, "norm.running_var"):
				if found++; math.Abs(v-0.5) > 0.06 {
					t.Errorf("variance %d is %v, want about 1/2", i, v)
				}
			}
		}
	}
	if found != 4 || !(r.Eval < 0.6) {
		t.Errorf("%d statistics, evaluation %v", found, r.Eval)
	}
	again := train(t, file, t.TempDir(), "--threads", "3")
	if !bytes.Equal(weightsOf(t, r.Run), weightsOf(t, again.Run)) {
		t.Error("three threads give other bits")
	}
	frozen := train(t, file, t.TempDir(), "--set", `model.freeze=["*.running_*"]`)
	list, err = tensorfile.Read(filepath.Join(frozen.Run, "model", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		if v := x.Float64s(); strings.HasSuffix(x.Name, "norm.running_var") && (v[0] != 1 || v[1] != 1) {
			t.Errorf("frozen variance became %v", v)
		}
	}
}
