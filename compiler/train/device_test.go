package train_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/session"
	"pipe.dev/kernels/cases"
	"pipe.dev/kernels/cpu"
)

// device runs a graph in f32 by kernels, through all passes of the compiler.
type device struct {
	run   *session.Session
	types map[string]ir.Type
}

func newDevice(t *testing.T, b *op.Builder) device {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	p, err := compiler.Optimize(b.Graph, b.Table, compiler.Options{Entry: compiler.Entry{Name: "test"}, Target: be})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := p.Plan(map[string]int{})
	if err != nil {
		t.Fatal(err)
	}
	store := session.NewStore(be)
	arena, err := be.Alloc(plan.WorkBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(store.Free(), arena.Free(), be.Close()); err != nil {
			t.Error(err)
		}
	})
	d := device{types: map[string]ir.Type{}}
	if d.run, err = session.Bind(be, plan, store, arena); err != nil {
		t.Fatal(err)
	}
	for _, v := range b.Graph.Inputs {
		d.types[v.Node.InputName()] = v.Type()
	}
	for _, o := range b.Graph.Outputs {
		d.types[o.Name] = o.Value.Type()
	}
	return d
}

// eval computes the outputs, rounded to their types.
func (d device) eval(t *testing.T, in map[string][]float64) map[string][]float64 {
	t.Helper()
	for _, p := range d.run.Plan().Inputs {
		if err := d.run.Write(p.Name, cases.Encode(d.types[p.Name].DType, in[p.Name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.run.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	for _, p := range d.run.Plan().Outputs {
		data := make([]byte, d.types[p.Name].Bytes())
		if err := d.run.Read(p.Name, data); err != nil {
			t.Fatal(err)
		}
		out[p.Name] = cases.Decode(d.types[p.Name].DType, data)
	}
	return out
}

// In f32, by the kernels of the CPU, twenty steps stay near PyTorch's float64
// weights: formulas keep their precision where 1 - beta^t is small, and eps.
func TestOptimizersInF32(t *testing.T) {
	table := newOptimizers(t)
	each(t, "optimizers", 27, func(t *testing.T, f fixture) {
		o, _ := table.Lookup(f.Name)
		a := attributes(t, &o.Def, f.Attr)
		w := f.types["w.0"]
		r := newRun(t, o, a, w, true)
		d := newDevice(t, r.b)
		in, n := r.start(f.values["w.0"]), w.Elems()
		after := f.values["w.0.after"]
		for i, lr := range f.values["lr"] {
			in["g"], in["lr"], in["t"] = f.values["g.0"][i*n:(i+1)*n], []float64{lr}, []float64{float64(i + 1)}
			for name, v := range d.eval(t, in) {
				in[name] = v
			}
			if k := slices.Index(kept(), i+1); k >= 0 {
				near(t, fmt.Sprintf("w.0 after %d steps", i+1), in["w"], after[k*n:(k+1)*n], 1e-6)
			}
		}
	})
}

// So do losses and their gradients.
func TestObjectivesInF32(t *testing.T) {
	table := newObjectives(t)
	each(t, "objectives", 29, func(t *testing.T, f fixture) {
		o, _ := table.Lookup(f.Name)
		b := lossGraph(t, o, attributes(t, &o.Def, f.Attr), f.types, []string{"y"})
		got := newDevice(t, b).eval(t, f.values)
		largest := 1.0
		for _, v := range f.values["y"] {
			largest = math.Max(largest, math.Abs(v))
		}
		tol := 2e-6 * math.Max(1, largest/50) // a logit of 5000 has 4 digits behind the point
		near(t, "sum", got["sum"], f.values["sum"], tol)
		near(t, "count", got["count"], f.values["count"], 1e-6)
		near(t, "d.y", got["d.y"], f.values["d.y"], 4*tol)
	})
}

// What is elementwise costs one pass over memory for each result: the next
// weight and the next slots.
func TestPasses(t *testing.T) {
	shape := ir.T(ir.F32, 64, 48)
	for _, o := range newOptimizers(t).Defs() {
		if o.Name == "muon" || o.Name == "adafactor" {
			continue // they have products and means in between
		}
		r := newRun(t, o, attributes(t, &o.Def, nil), shape, true)
		passes := 0
		for _, s := range newDevice(t, r.b).run.Plan().Steps {
			if s.Out[0].Type.Equal(shape) {
				passes++
			}
		}
		if want := 1 + len(r.slots); passes != want {
			t.Errorf("%s takes %d passes over the weight, want %d", o.Name, passes, want)
		}
	}
}
