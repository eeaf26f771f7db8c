package compiler_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/session"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/kernels/cases"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

// TestScan runs scans, and their gradients, as plans that loop, and holds what
// they give against what the unrolled graph means in float64.
func TestScan(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	d, _ := table.Lookup("scan")
	for _, c := range d.Cases {
		if c.Large {
			continue
		}
		t.Run(cases.Label(c.Name), func(t *testing.T) {
			b := op.NewBuilder(table)
			given := map[string][]float64{}
			samples, _ := cases.Sample(d.Name, c, c.In)
			var in []ir.Value
			for i, ty := range c.In {
				in = append(in, b.Graph.AddInput(fmt.Sprint(i), ty, ir.Pos{}))
				given[fmt.Sprint(i)] = samples[i]
			}
			ys := b.Apply("scan", c.Attr, in...)
			dys := make([]ir.Value, len(ys))
			for i, y := range ys {
				dys[i] = b.Sin(y)
				b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: fmt.Sprintf("y%d", i), Value: y})
			}
			for i, g := range b.Grads(ys, dys, in...) {
				b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: fmt.Sprintf("g%d", i), Value: g})
			}
			if b.Err() != nil {
				t.Fatal(b.Err())
			}
			want, err := op.Eval(table, b.Graph, given, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, p := runGraph(t, table, b.Graph, given)
			for name, w := range want {
				for i, x := range w {
					if math.Abs(got[name][i]-x) > 1e-5*max(1, math.Abs(x)) {
						t.Fatalf("%s[%d] is %v, want %v", name, i, got[name][i], x)
					}
				}
			}
			text := p.String()
			for _, want := range []string{"scan{steps=", "\n    fill{", "\n    gather "} {
				if !strings.Contains(text, want) && !(want == "\n    gather " && c.Name == "no rows") {
					t.Errorf("the plan lacks %q:\n%s", want, text)
				}
			}
		})
	}
}

// runGraph compiles g and runs it twice, the second time amid poison.
func runGraph(t *testing.T, table *op.Table, g *ir.Graph, given map[string][]float64) (map[string][]float64, *plan.Plan) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	be, err := cpu.New(cpu.Options{Threads: 2})
	must(err)
	defer be.Close()
	program, err := compiler.Optimize(g, table, compiler.Options{Entry: plan.Entry{Name: "forward"}, Target: be})
	must(err)
	p, err := program.Plan(nil)
	must(err)
	store := session.NewStore(be)
	must(store.Reserve(p.States))
	arena, err := be.Alloc(p.WorkBytes)
	must(err)
	s, err := session.Bind(be, p, store, arena)
	must(err)
	write := func() {
		for name, xs := range given {
			var data []byte
			for _, x := range xs {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
			}
			must(s.Write(name, data))
		}
	}
	read := func() map[string][]float64 {
		out := map[string][]float64{}
		for _, port := range p.Outputs {
			data := make([]byte, port.Place.Type.Bytes())
			must(s.Read(port.Name, data))
			for i := range len(data) / 4 {
				out[port.Name] = append(out[port.Name], float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))))
			}
		}
		return out
	}
	write()
	must(s.Run(context.Background()))
	first := read()
	write()
	must(s.RunPoisoned(context.Background(), arena))
	for name, xs := range read() {
		for i, x := range xs {
			if x != first[name][i] {
				t.Errorf("%s[%d] is %v, and %v amid poison", name, i, first[name][i], x)
			}
		}
	}
	return first, p
}

const recurrent = "../testdata/golden/recurrent"

// TestScanLearns makes steps of AdamW on recurrent layers, and holds the losses
// against those of PyTorch in float64 (testdata/golden/recurrent.py).
func TestScanLearns(t *testing.T) {
	want := tensortest.Read(t, recurrent+"/expected.safetensors")
	m, err := schema.LoadModel(recurrent)
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string][]byte{}
	for _, name := range []string{"x", "targets"} {
		for _, x := range want[name].Float64s() {
			inputs[name] = binary.LittleEndian.AppendUint32(inputs[name], math.Float32bits(float32(x)))
		}
	}
	for precision, tol := range map[ir.DType]float64{ir.F32: 1e-6, ir.BF16: 0.02} {
		how := &compiler.Training{Precision: precision, Decays: func(string, []ir.Dim) bool { return false }}
		r := newTrainerOf(t, m, recurrent, "mse", how, map[string]int{"batch": 2, "seq": 7})
		for i, loss := range want["losses"].Float64s() {
			if got := r.call(i+1, inputs); math.Abs(got-loss) > tol {
				t.Errorf("%v: before step %d the loss is %v, want %v", precision, i+1, got, loss)
			}
		}
	}
}
