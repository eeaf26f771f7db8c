package compiler

import (
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

// TestCopies: a weight is narrow on the device where all its readers cast it, also by way of its rows, or where an op of an
// evaluation means that; one that anything reads wide, that is changed there, or that is no copy, stays.
func TestCopies(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, phase := range []Phase{Accumulate, Evaluate, Update} {
		b := op.NewBuilder(table)
		x := b.Graph.AddInput("x", ir.T(ir.BF16, 2, 4), ir.Pos{})
		ids := b.Graph.AddInput("ids", ir.T(ir.I32, 2), ir.Pos{})
		at := map[string]ir.Value{}
		states := map[string]*ir.State{}
		for _, name := range []string{"cast", "rows", "both", "wide", "meant", "changed", "own", "out"} {
			states[name] = b.Graph.AddState(ir.State{Path: name, Kind: ir.Weight}, ir.T(ir.F32, 4, 4))
			at[name] = states[name].Read
		}
		narrow := func(v ir.Value) ir.Value { return b.Cast(v, ir.BF16) }
		give := func(name string, v ir.Value) {
			b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: name, Value: v})
		}
		give("cast", b.MatMul(x, narrow(at["cast"]), false, true))
		give("rows", narrow(b.Gather(at["rows"], ids, 0)))
		give("both", narrow(b.Gather(at["both"], ids, 0)))
		give("both2", b.MatMul(x, narrow(at["both"]), false, true))
		give("wide", narrow(at["wide"]))
		give("wide2", b.Gather(at["wide"], ids, 0))
		give("meant", b.Apply("linear", op.LinearAttr{OutFeatures: 4}, x, at["meant"])[0])
		give("changed", narrow(at["changed"]))
		states["changed"].Next = b.Exp(at["changed"])
		give("own", narrow(at["own"]))
		give("out", narrow(at["out"]))
		give("out2", at["out"])
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
		c := &context{table: table, opt: &Options{Training: &Training{Phase: phase, Apart: true, Precision: ir.BF16, Optimizer: &train.Optimizer{},
			Copied: func(path string) bool { return path != "own" }}}}
		g, err := copies(c, b.Graph)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(table, g); err != nil {
			t.Error(err)
		}
		for _, s := range g.States {
			want := ir.F32
			if computes := phase != Update; computes && (s.Path == "cast" || s.Path == "rows" || s.Path == "both") || phase == Evaluate && s.Path == "meant" {
				want = ir.BF16
			}
			if s.Read.Type().DType != want {
				t.Errorf("%s: %s is %v, want %v", phase, s.Path, s.Read.Type(), want)
			}
		}
		if phase != Update {
			for _, o := range g.Outputs {
				if o.Name == "cast" && o.Value.Node.In[1].Node.Op != ir.OpState || o.Name == "wide2" && o.Value.Type().DType != ir.F32 {
					t.Errorf("%s: %s is %v of %v", phase, o.Name, o.Value.Type(), o.Value.Node.In)
				}
			}
		}
	}
}
