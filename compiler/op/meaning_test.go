package op

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

// sequence gives n numbers between -1 and 1 without a pattern.
func sequence(n int, seed float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Sin(seed + 1.7*float64(i)*float64(i%7+1))
	}
	return out
}

func reference(t *testing.T, name string, attr any, types []ir.Type, in ...[]float64) [][]float64 {
	t.Helper()
	out, err := newTable(t).Reference(name, attr, in, types)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Attention over a cache with a past equals the last rows of attention over
// the whole text, whatever lies in the cache behind it.
func TestAttentionPast(t *testing.T) {
	const tokens, ctx, heads, groups, d = 6, 9, 4, 2, 3
	q, k, v := sequence(tokens*heads*d, 1), sequence(ctx*groups*d, 2), sequence(ctx*groups*d, 3)
	for _, at := range []AttentionAttr{{Causal: true}, {Causal: true, Window: 3}} {
		whole := reference(t, "attention", at, []ir.Type{ir.T(ir.F32, 1, tokens, heads, d), ir.T(ir.F32, 1, tokens, groups, d), ir.T(ir.F32, 1, tokens, groups, d), {}, {}, {}, {}},
			q, k[:tokens*groups*d], v[:tokens*groups*d], nil, nil, nil, nil)[0]
		const past = 4
		last := reference(t, "attention", at, []ir.Type{ir.T(ir.F32, 1, tokens-past, heads, d), ir.T(ir.F32, 1, ctx, groups, d), ir.T(ir.F32, 1, ctx, groups, d), {}, ir.T(ir.I32, 1), {}, {}},
			q[past*heads*d:], k, v, nil, []float64{past}, nil, nil)[0]
		equal(t, "the last rows", last, whole[past*heads*d:])
	}
}

// A row that sees no key is 0, not NaN, and passes no NaN to gradients.
func TestAttentionHidden(t *testing.T) {
	inf := math.Inf(-1)
	b := NewBuilder(newTable(t))
	q, k, v := input(b, "q", ir.F32, 1, 2, 1, 2), input(b, "k", ir.F32, 1, 2, 1, 2), input(b, "v", ir.F32, 1, 2, 1, 2)
	mask := input(b, "mask", ir.F32, 2, 2)
	b.keep = func(*ir.Node) bool { return false }
	y := b.Apply("attention", AttentionAttr{Scale: 1}, q, k, v, mask, ir.Value{}, ir.Value{}, ir.Value{})[0]
	dy := b.Fill(1, ir.F32, y.Type().Shape...)
	g := b.Grad(y, dy, q, k, v)
	got := values(t, b, map[string][]float64{"q": {1, 2, 3, 4}, "k": {1, 0, 0, 1}, "v": {5, 6, 7, 8}, "mask": {inf, inf, inf, 0}}, y, g[0], g[1], g[2])
	equal(t, "y", got[0], []float64{0, 0, 7, 8})
	equal(t, "dq", got[1], []float64{0, 0, 0, 0})
	equal(t, "dk", got[2], []float64{0, 0, 0, 0})
	equal(t, "dv", got[3], []float64{0, 0, 1, 1})
}

func TestMeaning(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	f := func(sizes ...int) ir.Type { return ir.T(ir.F32, sizes...) }
	for _, c := range []struct {
		name string
		attr any
		in   []ir.Type
		x    [][]float64
		want []float64
	}{
		{"log_sum_exp", ReduceAttr{Axes: "-1"}, []ir.Type{f(3, 2)}, [][]float64{{-inf, -inf, 1000, 1000, -inf, 2}}, []float64{-inf, 1000 + math.Ln2, 2}},
		{"softmax", AxisAttr{0}, []ir.Type{f(2, 2)}, [][]float64{{1000, -inf, 1000, 0}}, []float64{0.5, 0, 0.5, 1}},
		{"gather", AxisAttr{0}, []ir.Type{f(2), ir.T(ir.I32, 3)}, [][]float64{{5, 6}, {1, 2, -1}}, []float64{6, nan, nan}},
		{"take_along", AxisAttr{0}, []ir.Type{f(2), ir.T(ir.I32, 2)}, [][]float64{{5, 6}, {1, 2}}, []float64{6, nan}},
		{"pick", nil, []ir.Type{f(2, 2), ir.T(ir.I32, 2)}, [][]float64{{5, 6, 7, 8}, {1, 2}}, []float64{6, nan}},
		{"scatter_add", ScatterAttr{0, 2}, []ir.Type{f(3), ir.T(ir.I32, 3)}, [][]float64{{1, 2, 4}, {1, 2, 1}}, []float64{0, 5}},
		{"argmax", AxisAttr{-1}, []ir.Type{f(2, 3)}, [][]float64{{1, 7, 7, 2, 2, 2}}, []float64{1, 0}},
		{"sort", SortAttr{true}, []ir.Type{f(4)}, [][]float64{{1, 3, -inf, 3}}, []float64{3, 3, 1, -inf}},
		{"cast", CastAttr{"i32"}, []ir.Type{f(4)}, [][]float64{{1.9, -1.9, 0.5, -0.5}}, []float64{1, -1, 0, 0}},
		{"cast", CastAttr{"bool"}, []ir.Type{f(3)}, [][]float64{{0.5, 0, -2}}, []float64{1, 0, 1}},
		{"sign", nil, []ir.Type{f(3)}, [][]float64{{-2, 0, 0.1}}, []float64{-1, 0, 1}},
		{"matmul", MatMulAttr{}, []ir.Type{f(2, 0), f(0, 2)}, [][]float64{{}, {}}, []float64{0, 0, 0, 0}},
		{"reduce_sum", ReduceAttr{}, []ir.Type{f()}, [][]float64{{4}}, []float64{4}},
		{"reduce_mean", ReduceAttr{}, []ir.Type{f()}, [][]float64{{4}}, []float64{4}},
		{"reduce_max", ReduceAttr{Axes: "0"}, []ir.Type{f(0, 2)}, [][]float64{{}}, []float64{-inf, -inf}},
		{"cumsum", AxisAttr{0}, []ir.Type{f(3, 2)}, [][]float64{{1, 2, 3, 4, 5, 6}}, []float64{1, 2, 4, 6, 9, 12}},
		{"rope_table", RopeAttr{Dim: 2, Theta: 10, Scaling: "yarn", Factor: math.E, BetaFast: 32, BetaSlow: 1, TrainedLength: 10}, []ir.Type{ir.T(ir.I32, 1, 1)}, [][]float64{{0}}, []float64{1.1}},
		{"cache_append", nil, []ir.Type{f(1, 3, 1, 1), f(1, 2, 1, 1), ir.T(ir.I32, 1)}, [][]float64{{1, 2, 3}, {8, 9}, {2}}, []float64{1, 2, 8}},
	} {
		equal(t, c.name, reference(t, c.name, c.attr, c.in, c.x...)[0], c.want)
	}
}

// Elements of constants, against bytes written by hand.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		t    ir.DType
		data string
		want []float64
	}{
		{ir.F16, "\x00\x3c\x00\xc0\x01\x00\xff\x7b\x00\x7c\x00\xfc\x01\x7e\x00\x80", []float64{1, -2, 0x1p-24, 65504, math.Inf(1), math.Inf(-1), math.NaN(), 0}},
		{ir.BF16, "\x80\x3f\x00\xc0\x80\x7f", []float64{1, -2, math.Inf(1)}},
		{ir.F32, "\x00\x00\xc0\x3f", []float64{1.5}},
		{ir.F64, "\x00\x00\x00\x00\x00\x00\xf8\xbf", []float64{-1.5}},
		{ir.I64, "\xfe\xff\xff\xff\xff\xff\xff\xff", []float64{-2}},
		{ir.I32, "\xfe\xff\xff\xff", []float64{-2}},
		{ir.I8, "\xfe\x7f", []float64{-2, 127}},
		{ir.U8, "\xfe", []float64{254}},
		{ir.Bool, "\x01\x00", []float64{1, 0}},
	} {
		equal(t, c.t.String(), numbers(c.t, []byte(c.data)), c.want)
	}
}

// A graph with named sizes, lowered and then bound to numbers, means the same
// as one that had the numbers from the start: forwards and backwards.
func TestNamedSizes(t *testing.T) {
	sizes := map[string]int{"batch": 2, "seq": 3}
	named := []ir.Dim{ir.Sym("batch"), ir.Sym("seq")}
	build := func(b *Builder, lead []ir.Dim) (y ir.Value, xs []ir.Value) {
		wide := ir.Type{DType: ir.F32, Shape: []ir.Dim{lead[0], lead[1], ir.D(8)}}
		x := b.Graph.AddInput("x", wide, ir.Pos{})
		past := b.Graph.AddInput("past", ir.Type{DType: ir.I32, Shape: lead[:1]}, ir.Pos{})
		cache := b.Graph.AddInput("cache", ir.Type{DType: ir.F32, Shape: []ir.Dim{lead[0], ir.D(7), ir.D(2), ir.D(2)}}, ir.Pos{})
		ids := b.Cast(b.Reshape(b.Slice(x, -1, 0, 1), lead...), ir.I32)
		q := b.Apply("heads", HeadsAttr{4}, x)[0]
		q = b.Apply("rope", RopeAttr{Dim: 2, Theta: 100}, q, b.Apply("positions", nil, ids, past)[0])[0]
		k := b.Apply("heads", HeadsAttr{2}, b.Slice(x, -1, 0, 4))[0]
		k = b.Apply("cache_append", nil, cache, k, past)[0]
		a := b.Apply("attention", AttentionAttr{Causal: true, Window: 4}, q, k, k, ir.Value{}, past, ir.Value{}, ir.Value{})[0]
		h := b.Add(x, b.Apply("merge_heads", nil, a)[0])
		h = b.Sub(h, b.Mean(h, true, 1)) // over a named axis
		h = b.Add(h, b.Mean(h, false))
		return b.Pick(h, b.Iota(ir.I32, 0, lead[0])), []ir.Value{x, cache}
	}
	run := func(lead []ir.Dim) map[string][]float64 {
		src, low := NewBuilder(newTable(t)), NewBuilder(newTable(t))
		y, xs := build(src, lead)
		at := low.Lowered(src.Graph, nil)
		if err := first(src.Err(), low.Err()); err != nil {
			t.Fatal(err)
		}
		g := low.Grad(at[y], low.Fill(1, ir.F32, at[y].Type().Shape...), at[xs[0]], at[xs[1]])
		low.Graph.Outputs = []ir.Output{{Name: "y", Value: at[y]}, {Name: "dx", Value: g[0]}, {Name: "dcache", Value: g[1]}}
		bound := NewBuilder(low.Table)
		to := map[ir.Value]ir.Value{}
		for _, n := range low.Graph.Nodes {
			if n.Op == ir.OpInput {
				to[ir.Value{Node: n}] = bound.Graph.AddInput(n.InputName(), n.Types[0].Bind(sizes), n.Pos)
				continue
			}
			in := make([]ir.Value, len(n.In))
			for i, v := range n.In {
				in[i] = to[v]
			}
			for i, v := range bound.Apply(n.Op, Bind(n.Attr, sizes), in...) {
				to[ir.Value{Node: n, Out: i}] = v
			}
		}
		for _, o := range low.Graph.Outputs {
			bound.Graph.Outputs = append(bound.Graph.Outputs, ir.Output{Name: o.Name, Value: to[o.Value]})
		}
		if err := first(low.Err(), bound.Err()); err != nil {
			t.Fatal(err)
		}
		out, err := Eval(bound.Table, bound.Graph, map[string][]float64{"x": sequence(48, 1), "past": {1, 3}, "cache": sequence(56, 2)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := run([]ir.Dim{ir.D(2), ir.D(3)})
	got := run(named)
	for _, name := range []string{"y", "dx", "dcache"} {
		equal(t, name, got[name], want[name])
	}
}

func TestFLOPs(t *testing.T) {
	table := newTable(t)
	for _, c := range []struct {
		name string
		attr any
		in   []ir.Type
		want int64
	}{
		{"add", nil, f32s([]int{2, 3}, []int{3}), 6},
		{"matmul", MatMulAttr{TransA: true}, f32s([]int{2, 7, 3}, []int{2, 7, 5}), 2 * 2 * 3 * 5 * 7},
		{"linear", LinearAttr{OutFeatures: 5}, f32s([]int{2, 3, 7}, []int{5, 7}), 2 * 6 * 5 * 7},
		{"gated_linear", GatedLinearAttr{OutFeatures: 5}, f32s([]int{6, 7}, []int{5, 7}, []int{5, 7}), 2 * 2 * 6 * 5 * 7},
		{"attention", AttentionAttr{}, append(f32s([]int{2, 3, 4, 8}, []int{2, 9, 2, 8}, []int{2, 9, 2, 8}), make([]ir.Type, 4)...), 4 * 2 * 4 * 3 * 9 * 8},
		{"softmax", AxisAttr{-1}, f32s([]int{2, 3}), 30},
		{"reshape", ReshapeAttr{"6"}, f32s([]int{2, 3}), 0},
		{"elementwise", ElementwiseAttr{Expr: "x0 x1 mul exp"}, f32s([]int{2, 3}, []int{3}), 12},
	} {
		b := NewBuilder(table)
		in := make([]ir.Value, len(c.in))
		for i, ty := range c.in {
			if ty.DType != ir.Invalid {
				in[i] = b.Graph.AddInput(string(rune('a'+i)), ty, ir.Pos{})
			}
		}
		out := b.Apply(c.name, c.attr, in...)
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
		if got := table.FLOPs(out[0].Node); got != c.want {
			t.Errorf("%s: %d operations, want %d", c.name, got, c.want)
		}
	}
}

func TestDecode(t *testing.T) {
	table := newTable(t)
	decode := func(name, text string) (any, error) {
		d, _ := table.Lookup(name)
		r := json.NewDecoder(strings.NewReader(text))
		r.UseNumber()
		var m map[string]any
		if err := r.Decode(&m); err != nil {
			t.Fatal(err)
		}
		return d.Decode(m)
	}
	for _, c := range []struct {
		name, text string
		want       any
	}{
		{"rms_norm", `{"id": "a", "eps": 1e-5, "plus_one": true}`, RMSNormAttr{1e-5, true}},
		{"reduce_sum", `{"axes": [0, -1], "keep": false}`, ReduceAttr{Axes: "0,-1"}},
		{"reshape", `{"shape": ["batch", -1, 64]}`, ReshapeAttr{"batch,-1,64"}},
		{"act", `{"fn": "silu", "slope": 0.01, "alpha": 1}`, DefaultAct("silu")},
		{"add", `{"a": "x"}`, nil},
		{"conv2d", `{"out_channels": 4, "kernel": 3, "padding": [1, 2], "groups": 1}`, ConvLayerAttr{OutChannels: 4, Kernel: "3", Padding: "1,2", Groups: 1}},
	} {
		got, err := decode(c.name, c.text)
		if err != nil || got != c.want {
			t.Errorf("%s: %v and error %v, want %v", c.name, got, err, c.want)
		}
	}
	for text, want := range map[string]string{
		`{"n": 1.5}`: "n: want int, have 1.5", `{"n": "4"}`: "n: want int, have 4", `{"n": true}`: "n: want int, have true",
	} {
		if _, err := decode("heads", text); err == nil || err.Error() != want {
			t.Errorf("%s: error is %v, want %s", text, err, want)
		}
	}
	if _, err := decode("reduce_sum", `{"axes": 1.5}`); err == nil || err.Error() != "axes: want a list, have 1.5" {
		t.Errorf("error is %v", err)
	}
}
