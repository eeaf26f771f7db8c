package train_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/session"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/kernels/cases"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

// In f32, through all passes and the kernels of the CPU, the gradients of a
// whole model and its loss are within 1e-5 of PyTorch's float64 ones, in every
// tier of kernels.
func TestModelGradientsInF32(t *testing.T) {
	f := readFixture(t, filepath.Join(golden, "llama_grads.safetensors"))
	for _, tier := range []string{"generic", ""} {
		sums := accumulated(t, tier)
		n := sums["#count"][0]
		near(t, "loss", []float64{sums["loss"][0] / n}, f.values["loss"], 1e-6)
		checked := 0
		for path, want := range f.values {
			got := sums[path+"#grad"]
			if path == "loss" {
				continue
			}
			if len(got) != len(want) {
				t.Fatalf("%s has %d elements, want %d", path, len(got), len(want))
			}
			diff := make([]float64, len(want))
			for i := range want {
				diff[i] = got[i]/n - want[i]
			}
			if off := length(diff) / length(want); !(off <= 1e-5) {
				t.Errorf("tier %q: gradient of %s is off by %.1e of its norm", tier, path, off)
			}
			checked++
		}
		if checked < 7 {
			t.Errorf("only %d gradients were checked", checked)
		}
	}
}

// accumulated are the sums of gradients of the model's first row, of losses and
// of their count, by a plan for the CPU.
func accumulated(t *testing.T, tier string) map[string][]float64 {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 2, Tier: tier})
	if err != nil {
		t.Fatal(err)
	}
	m, err := schema.LoadModel(model)
	if err != nil {
		t.Fatal(err)
	}
	objective, _ := newObjectives(t).Lookup("cross_entropy")
	program, err := compiler.Compile(m, newOps(t), compiler.Options{
		Entry: compiler.Entry{Name: "accumulate"}, Target: be, Sizes: map[string]int{"batch": 1},
		Training: &compiler.Training{Phase: compiler.Accumulate, Losses: []train.Term{{
			Objective: objective, Attr: attributes(t, &objective.Def, nil), Weight: 1, In: map[string]train.Source{"targets": {Batch: "targets"}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ids := firstRow(t)
	targets := append(append([]float64(nil), ids[1:]...), -100)
	plan, err := program.Plan(map[string]int{"batch": 1, "seq": len(ids)})
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
	t.Cleanup(func() {
		if err := errors.Join(store.Free(), arena.Free(), be.Close()); err != nil {
			t.Error(err)
		}
	})
	weights := weightsOf(t)
	for _, s := range plan.States {
		if s.Kind == ir.Weight {
			if err := store.New(s, cases.Encode(ir.F32, weights[s.Path])); err != nil {
				t.Fatal(err)
			}
		}
	}
	run, err := session.Bind(be, plan, store, arena)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range map[string][]float64{"ids": ids, "targets": targets} {
		if err := run.Write(name, cases.Encode(ir.I32, values)); err != nil {
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

// firstRow is the first row of ids of the model's fixture.
func firstRow(t *testing.T) []float64 {
	t.Helper()
	tensors, err := tensorfile.Read(filepath.Join(model, "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tensors {
		if x.Name == "ids" {
			return x.Float64s()[:x.Type.Shape[1].N]
		}
	}
	t.Fatal("the fixture has no ids")
	return nil
}
