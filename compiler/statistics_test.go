package compiler

import (
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/tensorfile"
)

// normed is a convolution, a norm over the batch, ReLU and a linear layer.
func normed(t *testing.T, table *op.Table) *ir.Graph {
	t.Helper()
	b := op.NewBuilder(table)
	x := b.Graph.AddInput("x", ir.Type{DType: ir.F32, Shape: []ir.Dim{ir.Sym("batch"), ir.D(2), ir.D(5), ir.D(5)}}, ir.Pos{})
	weight := func(path string, statistic bool, shape ...int) ir.Value {
		return b.Graph.AddState(ir.State{Path: path, Statistic: statistic}, ir.T(ir.F32, shape...)).Read
	}
	conv := b.Apply("conv2d", op.ConvLayerAttr{OutChannels: 3, Kernel: "3", Groups: 1, Bias: true}, x, weight("conv.weight", false, 3, 2, 3, 3), weight("conv.bias", false, 3))
	norm := b.Apply("batch_norm", op.BatchNormAttr{Eps: 1e-5, Momentum: 0.2, Affine: true}, conv[0],
		weight("norm.weight", false, 3), weight("norm.bias", false, 3), weight("norm.running_mean", true, 3), weight("norm.running_var", true, 3))
	flat := b.Reshape(b.Act("relu", norm[0]), x.Type().Shape[0], ir.D(27))
	y := b.Apply("linear", op.LinearAttr{OutFeatures: 3, Bias: true}, flat, weight("linear.weight", false, 3, 27), weight("linear.bias", false, 3))
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	b.Graph.Outputs = []ir.Output{{Name: "y", Value: y[0]}}
	return b.Graph
}

// regression is SGD on the mean squared error.
func regression(t *testing.T, phase Phase) *Training {
	t.Helper()
	optimizers, err := train.Optimizers()
	if err != nil {
		t.Fatal(err)
	}
	objectives, err := train.Objectives()
	if err != nil {
		t.Fatal(err)
	}
	o, _ := optimizers.Lookup("sgd")
	j, _ := objectives.Lookup("mse")
	made := &Training{Phase: phase, Optimizer: o, OptimizerAttr: train.SGDAttr{Momentum: 0.9, WeightDecay: 0.01}}
	loss := train.Term{Objective: j, Weight: 1, In: map[string]train.Source{"targets": {Batch: "targets"}}}
	if loss.Attr, err = j.Default(); err != nil {
		t.Fatal(err)
	}
	made.Losses = []train.Term{loss}
	return made
}

// Weights and running statistics after three steps are those of PyTorch, and so is an evaluation with
// them; micro-batches move statistics one after the other.
func TestStatistics(t *testing.T) {
	list, err := tensorfile.Read("../testdata/golden/train/batch_norm.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	file := map[string][]float64{}
	for _, x := range list {
		file[x.Name] = x.Float64s()
	}
	table, o := newContext(t)
	program := func(phase Phase, optimize bool, batch int) *program {
		o := o
		o.Entry, o.Training = Entry{Name: string(phase)}, regression(t, phase)
		g := normed(t, table)
		c := &context{table: table, opt: &o}
		if optimize {
			p, err := Optimize(g, table, o)
			if err != nil {
				t.Fatal(err)
			}
			g = p.Graph()
		} else {
			for _, pass := range []func(*context, *ir.Graph) (*ir.Graph, error){statistics, learn} {
				if g, err = pass(c, g); err != nil {
					t.Fatal(err)
				}
			}
		}
		if g, err = bind(c, g, map[string]int{"batch": batch}); err != nil {
			t.Fatal(err)
		}
		return &program{t, table, g}
	}
	first := func() map[string][]float64 {
		states := map[string][]float64{}
		for _, s := range normed(t, table).States {
			states[s.Path] = slices.Clone(file[s.Path])
		}
		return states
	}
	part := func(k int) map[string][]float64 {
		x, y := file["x"], file["targets"]
		return map[string][]float64{"x": x[k*200 : k*200+200], "targets": y[k*12 : k*12+12], "lr": {0.1}, "step": {float64(k + 1)}}
	}
	for _, optimize := range []bool{false, true} {
		states, step := first(), program(Step, optimize, 4)
		for _, s := range step.graph.States {
			if s.Kind == ir.Moment {
				states[s.Path] = make([]float64, s.Read.Type().Elems())
			}
		}
		for k := range 3 {
			out := step.run(states, part(k))
			if d := far([]float64{out["loss"][0] / out["count"][0]}, file["loss"][k:k+1]); d > 1e-9 {
				t.Errorf("loss %d differs by %v", k, d)
			}
		}
		for _, s := range normed(t, table).States {
			if d := far(states[s.Path], file[s.Path+".after"]); d > 1e-9 {
				t.Errorf("optimized %v: %s differs by %v", optimize, s.Path, d)
			}
			if s.Statistic && slices.ContainsFunc(step.graph.States, func(x *ir.State) bool { return x.Path == s.Path+"#grad" || x.Path == s.Path+"#momentum" }) {
				t.Errorf("%s has moments", s.Path)
			}
		}
		evaluate := program(Evaluate, optimize, 4)
		in := part(0)
		in["targets"] = file["eval"]
		if out := evaluate.run(states, in); !(out["loss"][0] < 1e-15) {
			t.Errorf("an evaluation is off by %v", out["loss"])
		}
	}

	// Two micro-batches move the statistics by 0.2 each.
	states, accumulate := first(), program(Accumulate, true, 4)
	for _, s := range accumulate.graph.States {
		if s.Kind == ir.Gradient {
			states[s.Path] = make([]float64, s.Read.Type().Elems())
		}
	}
	accumulate.run(states, part(0))
	once := slices.Clone(states["norm.running_mean"])
	accumulate.run(states, part(0))
	for i, was := range file["norm.running_mean"] {
		mean := (once[i] - 0.8*was) / 0.2
		if d := states["norm.running_mean"][i] - (0.8*once[i] + 0.2*mean); d > 1e-12 || d < -1e-12 {
			t.Errorf("channel %d: off by %v", i, d)
		}
	}
}

// What a training leaves alone is read from the checkpoint, and does not change.
func TestStatisticsStay(t *testing.T) {
	table, o := newContext(t)
	for name, change := range map[string]func(t *Training){
		"frozen": func(t *Training) { t.Learns = func(path string) bool { return path != "norm.running_mean" } },
		"adapter": func(t *Training) {
			t.Adapter = &Adapter{Layer: func(string) (AdaptedLayer, bool) { return AdaptedLayer{Rank: 2, Scale: 1}, true }}
		},
	} {
		o.Training = regression(t, Step)
		change(o.Training)
		g, err := statistics(&context{table: table, opt: &o}, normed(t, table))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range g.Nodes {
			if n.Op == "batch_norm_train" {
				t.Errorf("%s: the norm learns", name)
			}
		}
	}
}
