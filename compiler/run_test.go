package compiler_test

import (
	"context"
	"encoding/binary"
	"maps"
	"math"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/session"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

const llama = "../testdata/golden/arch/llama"

// trainer makes steps of AdamW on the kernels of the processor.
type trainer struct {
	t   *testing.T
	run *session.Session
}

func newTrainer(t *testing.T, precision ir.DType, seq int) *trainer {
	t.Helper()
	m, err := schema.LoadModel(llama)
	if err != nil {
		t.Fatal(err)
	}
	return newTrainerOf(t, m, llama, "cross_entropy", &compiler.Training{Precision: precision}, map[string]int{"batch": 1, "seq": seq})
}

// newTrainerOf trains a model, whose weights lie in a folder, by AdamW.
func newTrainerOf(t *testing.T, m *schema.Model, folder, objective string, how *compiler.Training, sizes map[string]int) *trainer {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	return newTrainerOn(t, be, m, folder, objective, how, sizes)
}

// newTrainerOn is newTrainerOf on a device.
func newTrainerOn(t *testing.T, be kernels.Backend, m *schema.Model, folder, objective string, how *compiler.Training, sizes map[string]int) *trainer {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	table, err := op.New()
	must(err)
	optimizers, err := train.Optimizers()
	must(err)
	objectives, err := train.Objectives()
	must(err)
	adamW, _ := optimizers.Lookup("adamw")
	what, ok := objectives.Lookup(objective)
	if !ok {
		t.Fatalf("there is no objective %s", objective)
	}
	how.Phase, how.Optimizer = compiler.Step, adamW
	loss := train.Term{Objective: what, Weight: 1, In: map[string]train.Source{"targets": {Batch: "targets"}}}
	how.OptimizerAttr, err = adamW.Default()
	must(err)
	loss.Attr, err = what.Default()
	must(err)
	how.Losses = []train.Term{loss}
	program, err := compiler.Compile(m, table, compiler.Options{Entry: plan.Entry{Name: "step"}, Target: be, Training: how})
	must(err)
	p, err := program.Plan(sizes)
	must(err)
	store := session.NewStore(be)
	must(store.Reserve(p.States))
	c, err := checkpoint.Open(folder)
	must(err)
	t.Cleanup(func() { c.Close() })
	must(store.Load(c, func(path string) string { return path }, p.States, nil))
	arena, err := be.Alloc(p.WorkBytes)
	must(err)
	s, err := session.Bind(be, p, store, arena)
	must(err)
	return &trainer{t, s}
}

// step makes one step and returns the mean loss before it.
func (r *trainer) step(n int, ids, targets []byte) float64 {
	r.t.Helper()
	return r.call(n, map[string][]byte{"ids": ids, "targets": targets})
}

// call is step for any inputs.
func (r *trainer) call(n int, inputs map[string][]byte) float64 {
	r.t.Helper()
	inputs = maps.Clone(inputs)
	float := func(x float64) []byte {
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(x)))
	}
	inputs["lr"], inputs["step"] = float(0.01), float(float64(n))
	for name, data := range inputs {
		if err := r.run.Write(name, data); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := r.run.Run(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	read := func(name string) float64 {
		var b [4]byte
		if err := r.run.Read(name, b[:]); err != nil {
			r.t.Fatal(err)
		}
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[:])))
	}
	return read("loss") / read("count")
}

// TestPrecisionRun trains for six steps and holds the losses against those that
// PyTorch has in float64, and in bf16 under autocast: f32 is as good as
// float64, and bf16 no farther from it than PyTorch's bf16 is, doubled.
func TestPrecisionRun(t *testing.T) {
	want := map[string][]float64{}
	for _, file := range []string{llama + "/expected.safetensors", "../testdata/golden/train/bf16.safetensors"} {
		list, err := tensorfile.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			if want[x.Name] = x.Float64s(); x.Name == "ids" {
				want["ids"] = want["ids"][:x.Type.Sizes()[1]]
			}
		}
	}
	row := want["ids"]
	encode := func(ids []float64) (out []byte) {
		for _, x := range ids {
			out = binary.LittleEndian.AppendUint32(out, uint32(int32(x)))
		}
		return out
	}
	ids, targets := encode(row[:len(row)-1]), encode(row[1:])
	bound := 0.
	for i := range want["f64"] {
		bound = math.Max(bound, 2*math.Abs(want["bf16"][i]-want["f64"][i]))
	}
	for precision, tol := range map[ir.DType]float64{ir.F32: 2e-5, ir.BF16: bound} {
		r, worst := newTrainer(t, precision, len(row)-1), 0.
		for i, x := range want["f64"] {
			worst = math.Max(worst, math.Abs(r.step(i+1, ids, targets)-x))
		}
		if t.Logf("%v: losses are at most %.2g from those in float64", precision, worst); !(worst <= tol) {
			t.Errorf("%v: a loss is off by %v, more than %v", precision, worst, tol)
		}
		if precision == ir.BF16 && worst < 1e-5 {
			t.Error("bf16 is as exact as f32: nothing is narrow")
		}
	}
}
