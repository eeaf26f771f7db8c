package train_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/session"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/kernels/cases"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

const noises = "../../testdata/golden/noise"

// What a U-Net learns of noise (layers.#NoisePrediction, #FlowMatching) has the
// losses and the gradients of diffusers' training steps, whatever is predicted
// and however steps are weighted (testdata/golden/noise.py).
func TestNoisePrediction(t *testing.T) {
	doc, err := schema.Load(filepath.Join(noises, "noise.cue"), schema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	weights := tensors(t, filepath.Join(noises, "unet", "diffusion_pytorch_model.safetensors"))
	all := tensors(t, filepath.Join(noises, "cases.safetensors"))
	if len(doc.Models) < 11 {
		t.Fatalf("there are %d cases", len(doc.Models))
	}
	for _, m := range doc.Models {
		t.Run(m.Name, func(t *testing.T) {
			in, want := map[string]tensorfile.Tensor{}, map[string][]float64{}
			for name, x := range all {
				if name, ok := strings.CutPrefix(name, m.Name+"."); ok && name != "loss" && !strings.HasPrefix(name, "grad.") {
					in[name] = x
				} else if ok {
					want[name] = x.Float64s()
				}
			}
			got := noiseStep(t, m, in, weights)
			n := got["#count"][0]
			near(t, "loss", []float64{got["loss"][0] / n}, want["loss"], 2e-6*want["loss"][0])
			if len(want) != 6 {
				t.Fatalf("the fixture has %d values", len(want))
			}
			for _, name := range slices.Sorted(maps.Keys(want)) {
				path, ok := strings.CutPrefix(name, "grad.")
				if !ok {
					continue
				}
				diff, grad := slices.Clone(want[name]), got["unet."+path+"#grad"]
				for i := range diff {
					diff[i] -= grad[i] / n
				}
				if off := length(diff) / length(want[name]); !(off <= 1e-5) {
					t.Errorf("gradient of %s is off by %.1e of its norm", path, off)
				}
			}
		})
	}
}

func tensors(t *testing.T, file string) map[string]tensorfile.Tensor {
	t.Helper()
	return tensortest.Read(t, file)
}

// noiseStep computes the sums of squared errors and of gradients of one batch.
func noiseStep(t *testing.T, m *schema.Model, in, weights map[string]tensorfile.Tensor) map[string][]float64 {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	objective, _ := newObjectives(t).Lookup("mse")
	sizes := map[string]int{"batch": 3}
	program, err := compiler.Compile(m, newOps(t), compiler.Options{
		Entry: compiler.Entry{Name: "accumulate"}, Target: be, Sizes: sizes,
		Training: &compiler.Training{Phase: compiler.Accumulate, Losses: []train.Term{{
			Objective: objective, Attr: attributes(t, &objective.Def, nil), Weight: 1, In: map[string]train.Source{"targets": {Value: 0}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := program.Plan(sizes)
	if err != nil {
		t.Fatal(err)
	}
	store := session.NewStore(be)
	arena, err := be.Alloc(plan.WorkBytes)
	if err == nil {
		err = store.Reserve(plan.States)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(store.Free(), arena.Free(), be.Close()); err != nil {
			t.Error(err)
		}
	}()
	for _, s := range plan.States {
		if s.Kind != ir.Weight {
			continue
		}
		w, ok := weights[strings.TrimPrefix(s.Path, "unet.")]
		if !ok {
			t.Fatalf("the checkpoint has no %s", s.Path)
		}
		if err := store.New(s, w.Data); err != nil {
			t.Fatal(err)
		}
	}
	run, err := session.Bind(be, plan, store, arena)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plan.Inputs {
		x, ok := in[p.Name]
		if !ok {
			t.Fatalf("the fixture has no %s", p.Name)
		}
		if err := run.Write(p.Name, x.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	for _, s := range plan.States {
		if s.Kind == ir.Gradient {
			data := make([]byte, s.Type.Bytes())
			if err := store.Read(s.Path, data); err != nil {
				t.Fatal(err)
			}
			out[s.Path] = cases.Decode(ir.F32, data)
		}
	}
	loss := make([]byte, 4)
	if err := run.Read("loss", loss); err != nil {
		t.Fatal(err)
	}
	out["loss"] = cases.Decode(ir.F32, loss)
	return out
}
