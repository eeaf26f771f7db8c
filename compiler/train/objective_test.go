package train_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

func newObjectives(t testing.TB) *train.Table[*train.Objective] {
	t.Helper()
	table, err := train.Objectives()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// decode reads the fields of a document.
func decode(t testing.TB, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// lossGraph builds an objective over the inputs of a fixture, and the
// gradients of its sum for those that want names.
func lossGraph(t testing.TB, o *train.Objective, a any, types map[string]ir.Type, want []string) *op.Builder {
	t.Helper()
	fused := op.NewBuilder(newOps(t))
	l := train.Loss{Attr: a, Y: fused.Graph.AddInput("y", types["y"], ir.Pos{}), In: map[string]ir.Value{}}
	at := map[string]ir.Value{"y": l.Y}
	for _, in := range o.Inputs {
		if ty, ok := types[in.Name]; ok {
			l.In[in.Name] = fused.Graph.AddInput(in.Name, ty, ir.Pos{})
			at[in.Name] = l.In[in.Name]
		}
	}
	sum, count := o.Loss(fused, l)
	if err := fused.Err(); err != nil {
		t.Fatal(err)
	}
	b := op.NewBuilder(fused.Table)
	now := b.Lowered(fused.Graph, ownGradient(b.Table))
	out := []ir.Output{{Name: "sum", Value: now[sum]}, {Name: "count", Value: now[count]}}
	for _, name := range want {
		d := b.Grad(now[sum], b.Scalar(1, now[sum]), now[at[name]])
		if b.Err() == nil {
			out = append(out, ir.Output{Name: "d." + name, Value: d[0]})
		}
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	b.Graph.Outputs = out
	return b
}

// ownGradient keeps the ops that have a gradient of their own, as the compiler
// does before it differentiates.
func ownGradient(table *op.Table) func(n *ir.Node) bool {
	return func(n *ir.Node) bool {
		d, ok := table.Lookup(n.Op)
		return ok && d.Grad != nil
	}
}

// Sums, counts and gradients are PyTorch's; gradients are also what central
// differences give.
func TestObjectivesGolden(t *testing.T) {
	table := newObjectives(t)
	seen := map[string]bool{}
	each(t, "objectives", 52, func(t *testing.T, f fixture) {
		o, ok := table.Lookup(f.Name)
		if !ok {
			t.Fatalf("no objective %s", f.Name)
		}
		seen[f.Name] = true
		var flow []string
		for name := range f.values {
			if x, ok := strings.CutPrefix(name, "d."); ok {
				flow = append(flow, x)
			}
		}
		b := lossGraph(t, o, attributes(t, &o.Def, f.Attr), f.types, flow)
		got, err := op.Eval(b.Table, b.Graph, f.values, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"sum", "count"} {
			near(t, name, got[name], f.values[name], 1e-10)
		}
		for _, name := range flow {
			near(t, "d."+name, got["d."+name], f.values["d."+name], 1e-10)
			differences(t, b, f.values, name, got["d."+name])
		}
	})
	for _, name := range table.Names() {
		if !seen[name] {
			t.Errorf("no fixture of %s", name)
		}
	}
}

// differences compares the gradient of the sum by one input with central
// differences.
func differences(t *testing.T, b *op.Builder, values map[string][]float64, name string, want []float64) {
	t.Helper()
	const h = 1e-5
	x := values[name]
	in := map[string][]float64{}
	for k, v := range values {
		in[k] = v
	}
	sum := func(i int, v float64) float64 {
		moved := append([]float64(nil), x...)
		moved[i] = v
		in[name] = moved
		out, err := op.Eval(b.Table, b.Graph, in, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out["sum"][0]
	}
	for i := 0; i < len(x); i += 1 + len(x)/12 {
		got := (sum(i, x[i]+h) - sum(i, x[i]-h)) / (2 * h)
		if math.Abs(got-want[i]) > 1e-6*math.Max(1, math.Abs(want[i]))+1e-11*math.Abs(values["sum"][0])/h {
			t.Fatalf("d.%s[%d] = %v, central differences give %v", name, i, want[i], got)
		}
	}
}

// Sums and counts of the rows of a batch in parts add up to those of the
// whole, so that accumulation over micro-batches is exact.
func TestAccumulation(t *testing.T) {
	o, _ := newObjectives(t).Lookup("cross_entropy")
	a := attributes(t, &o.Def, decode(t, `{"label_smoothing": 0.1}`))
	const rows, classes = 6, 5
	y, targets, weights := make([]float64, rows*classes), make([]float64, rows), make([]float64, rows)
	for i := range y {
		y[i] = math.Sin(float64(7 * i))
	}
	for i := range targets {
		targets[i], weights[i] = float64(i*3%classes), float64(i%3)
	}
	targets[4] = -100
	part := func(from, to int) map[string][]float64 {
		n := to - from
		b := lossGraph(t, o, a, map[string]ir.Type{"y": ir.T(ir.F32, n, classes), "targets": ir.T(ir.I32, n), "weights": ir.T(ir.F32, n)}, []string{"y"})
		out, err := op.Eval(b.Table, b.Graph, map[string][]float64{"y": y[from*classes : to*classes], "targets": targets[from:to], "weights": weights[from:to]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	whole, first, second := part(0, rows), part(0, 2), part(2, rows)
	for _, name := range []string{"sum", "count"} {
		near(t, name, []float64{first[name][0] + second[name][0]}, whole[name], 1e-14)
	}
	near(t, "d.y", append(first["d.y"], second["d.y"]...), whole["d.y"], 1e-14)
	if whole["count"][0] != 5 {
		t.Errorf("count is %v, want 0 + 1 + 2 + 0 + 2, without the fifth row", whole["count"][0])
	}
}

// Objectives and their gradients can be built before sizes are known.
func TestNamedSizes(t *testing.T) {
	batch, seq := ir.Sym("batch"), ir.Sym("seq")
	rows := ir.Type{DType: ir.F32, Shape: []ir.Dim{batch, ir.D(8)}}
	logits := ir.Type{DType: ir.F32, Shape: []ir.Dim{batch.Mul(ir.D(2)), seq, ir.D(8)}}
	for _, o := range newObjectives(t).Defs() {
		y := logits
		if o.Name == "info_nce" {
			y = rows
		}
		types, err := o.Types(y)
		if err != nil {
			t.Fatal(err)
		}
		types["y"] = y
		b := lossGraph(t, o, attributes(t, &o.Def, nil), types, []string{"y"})
		if d := b.Graph.Outputs[2].Value.Type(); !d.Equal(y) {
			t.Errorf("%s: gradient is %v, want %v", o.Name, d, y)
		}
	}
}

// Inputs that do not fit are errors that say what was wanted.
func TestLossErrors(t *testing.T) {
	table := newObjectives(t)
	f32, i32 := func(n ...int) ir.Type { return ir.T(ir.F32, n...) }, func(n ...int) ir.Type { return ir.T(ir.I32, n...) }
	for _, c := range []struct {
		name  string
		types map[string]ir.Type
		want  string
	}{
		{"cross_entropy", map[string]ir.Type{"y": f32(2, 9)}, "cross_entropy: input targets is missing"},
		{"cross_entropy", map[string]ir.Type{"y": f32(2, 9), "targets": i32(3)}, "cross_entropy: input targets is i32[3], want i32[2] for the output f32[2,9]"},
		{"cross_entropy", map[string]ir.Type{"y": f32(2, 9), "targets": f32(2)}, "cross_entropy: input targets is f32[2], want i32[2] for the output f32[2,9]"},
		{"cross_entropy", map[string]ir.Type{"y": f32(), "targets": i32()}, "cross_entropy: output is f32[]; want [..., classes]: it has no axes"},
		{"mse", map[string]ir.Type{"y": f32(2), "targets": f32(2), "positive": f32(2)}, "mse: has no input positive"},
		{"mse", map[string]ir.Type{"y": i32(2), "targets": f32(2)}, "mse: output is i32[2]; want floating-point numbers"},
		{"info_nce", map[string]ir.Type{"y": f32(2, 3, 4), "keys": f32(2, 3, 4)}, "info_nce: output is f32[2,3,4]; want 2 axes [rows, dim]"},
		{"dpo", map[string]ir.Type{"y": f32(3, 4, 9)}, "3 rows are no pairs"},
	} {
		o, _ := table.Lookup(c.name)
		b := op.NewBuilder(newOps(t))
		l := train.Loss{Attr: attributes(t, &o.Def, nil), In: map[string]ir.Value{}}
		for name, ty := range c.types {
			v := b.Graph.AddInput(name, ty, ir.Pos{})
			if name == "y" {
				l.Y = v
			} else {
				l.In[name] = v
			}
		}
		o.Loss(b, l)
		if err := b.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// A narrow output is computed with in f32, and gets a gradient of its type.
func TestNarrowOutput(t *testing.T) {
	for _, o := range newObjectives(t).Defs() {
		y := ir.T(ir.BF16, 4, 3, 8)
		if o.Name == "info_nce" {
			y = ir.T(ir.BF16, 4, 8)
		}
		types, err := o.Types(y)
		if err != nil {
			t.Fatal(err)
		}
		types["y"] = y
		b := lossGraph(t, o, attributes(t, &o.Def, nil), types, []string{"y"})
		for i, want := range []ir.Type{ir.T(ir.F32), ir.T(ir.F32), y} {
			if got := b.Graph.Outputs[i].Value.Type(); !got.Equal(want) {
				t.Errorf("%s: %s is %v, want %v", o.Name, b.Graph.Outputs[i].Name, got, want)
			}
		}
	}
}
