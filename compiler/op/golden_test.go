package op

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

const golden = "../../testdata/golden"

// fixture is one file of testdata/golden/ops.
type fixture struct {
	attr    map[string]any
	types   map[string]ir.Type
	numbers map[string][]float64
}

func (f fixture) num(name string, fallback float64) float64 {
	if v, ok := f.attr[name].(float64); ok {
		return v
	}
	return fallback
}

func (f fixture) is(name string) bool { v, _ := f.attr[name].(bool); return v }

// readFixture reads a safetensors file: a length, a JSON header, the data.
func readFixture(t *testing.T, path string) fixture {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	f := fixture{types: map[string]ir.Type{}, numbers: map[string][]float64{}}
	for name, raw := range header {
		if name == "__metadata__" {
			var meta struct{ Attr string }
			if err := json.Unmarshal(raw, &meta); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(meta.Attr), &f.attr); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var e struct {
			DType   string
			Shape   []int
			Offsets [2]int `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		d, err := ir.ParseDType(strings.ToLower(e.DType))
		if err != nil {
			t.Fatal(err)
		}
		f.types[name] = ir.T(d, e.Shape...)
		f.numbers[name] = numbers(d, data[8+int(n)+e.Offsets[0]:8+int(n)+e.Offsets[1]])
	}
	return f
}

// formula builds the op of a fixture from its inputs, in PyTorch's order and layout.
type formula func(b *Builder, f fixture, x []ir.Value) []ir.Value

func named(fn string) formula {
	return func(b *Builder, f fixture, x []ir.Value) []ir.Value {
		at := DefaultAct(fn)
		at.Slope, at.Alpha = f.num("negative_slope", at.Slope), f.num("alpha", at.Alpha)
		return b.Apply("act", at, x[0])
	}
}

func along(name string) formula {
	return func(b *Builder, f fixture, x []ir.Value) []ir.Value {
		return b.Apply(name, AxisAttr{Axis: int(f.num("dim", -1))}, x...)
	}
}

func reduced(name string) formula {
	return func(b *Builder, f fixture, x []ir.Value) []ir.Value {
		return b.Apply(name, ReduceAttr{Axes: MakeInts(int(f.num("dim", -1))), Keep: f.is("keepdim")}, x[0])
	}
}

// swap exchanges the axes of heads and tokens.
func swap(b *Builder, x ir.Value) ir.Value { return b.Transpose(x, 0, 2, 1, 3) }

func attentionFormula(b *Builder, f fixture, x []ir.Value) []ir.Value {
	at := AttentionAttr{Causal: f.is("causal"), Window: int(f.num("window", 0)), Scale: f.num("scale", 0), Softcap: f.num("softcap", 0), ALiBi: f.num("alibi", 0)}
	var mask, past, segments, lengths ir.Value
	if len(x) > 3 {
		switch t := x[3].Type(); {
		case t.DType.Float():
			mask = x[3]
		case t.Rank() == 2:
			segments = x[3]
		default:
			lengths = x[3]
		}
	}
	q, k := x[0].Type().Shape, x[1].Type().Shape
	if at.Causal && q[2] != k[2] { // the last query stands at the last key
		past = b.Fill(float64(k[2].N-q[2].N), ir.I32, q[0])
	}
	y := b.Apply("attention", at, swap(b, x[0]), swap(b, x[1]), swap(b, x[2]), mask, past, segments, lengths)
	return []ir.Value{swap(b, y[0])}
}

func ropeFormula(b *Builder, f fixture, x []ir.Value) []ir.Value {
	at := RopeAttr{Dim: int(f.num("dims", 0)), Theta: f.num("theta", 0), Interleaved: f.is("interleaved"), Scaling: "default"}
	positions := b.Reshape(x[1], ir.D(1), x[1].Type().Shape[0])
	y := b.Apply("rope", at, swap(b, x[0]), positions)
	return []ir.Value{swap(b, y[0])}
}

func padFormula(b *Builder, f fixture, x []ir.Value) []ir.Value {
	rank := x[0].Type().Rank()
	before, after := make([]int, rank), make([]int, rank)
	for i, v := range f.attr["pad"].([]any) {
		at := rank - 1 - i/2
		if i%2 == 0 {
			before[at] = int(v.(float64))
		} else {
			after[at] = int(v.(float64))
		}
	}
	return []ir.Value{b.Pad(x[0], before, after, f.num("value", 0))}
}

// unbiased is the variance with n-1 below the fraction.
func unbiased(b *Builder, f fixture, x []ir.Value) []ir.Value {
	n := lastDim(x[0].Type()).N
	v := reduced("variance")(b, f, x)[0]
	return []ir.Value{b.Mul(v, b.Scalar(float64(n)/float64(n-1), v))}
}

func formulas() map[string]formula {
	direct := func(name string, attr func(f fixture) any) formula {
		return func(b *Builder, f fixture, x []ir.Value) []ir.Value { return b.Apply(name, attr(f), x...) }
	}
	out := map[string]formula{
		"gelu_erf": named("gelu"), "gelu_tanh": named("gelu_tanh"), "silu": named("silu"), "softplus": named("softplus"), "mish": named("mish"),
		"sigmoid": named("sigmoid"), "tanh": named("tanh"), "relu": named("relu"), "leaky_relu": named("leaky_relu"), "elu": named("elu"),
		"softmax": along("softmax"), "softmax_dim1": along("softmax"), "softmax_masked": along("softmax"), "log_softmax": along("log_softmax"),
		"logsumexp": reduced("log_sum_exp"), "logsumexp_dim0": reduced("log_sum_exp"), "var_biased": reduced("variance"), "var": unbiased,
		"cumsum": along("cumsum"), "argmax": along("argmax"), "gather": along("take_along"),
		"rope_half": ropeFormula, "rope_partial": ropeFormula, "rope_interleaved": ropeFormula, "pad": padFormula,
		"rms_norm":   direct("rms_norm", func(f fixture) any { return RMSNormAttr{Eps: f.num("eps", 0)} }),
		"layer_norm": direct("layer_norm", func(f fixture) any { return LayerNormAttr{Eps: f.num("eps", 0), Affine: true} }),
		"linear":     direct("linear", func(f fixture) any { return LinearAttr{OutFeatures: f.types["x1"].Shape[0].N, Bias: true} }),
		"matmul":     direct("matmul", func(fixture) any { return MatMulAttr{} }),
		"embedding": direct("embedding", func(f fixture) any {
			return EmbeddingAttr{Vocab: f.types["x1"].Shape[0].N, Dim: f.types["x1"].Shape[1].N}
		}),
		"topk":    direct("topk", func(f fixture) any { return TopKAttr{K: int(f.num("k", 0))} }),
		"sort":    direct("sort", func(f fixture) any { return SortAttr{Descending: f.is("descending")} }),
		"one_hot": direct("one_hot", func(f fixture) any { return OneHotAttr{Classes: int(f.num("num_classes", 0))} }),
	}
	out["monotonic_path"] = func(b *Builder, _ fixture, x []ir.Value) []ir.Value {
		return b.Apply("monotonic_path", nil, append(x, ir.Value{}, ir.Value{})[:3]...)
	}
	out["rational_spline"] = func(b *Builder, f fixture, x []ir.Value) []ir.Value {
		ys := b.Apply("rational_spline", RationalSplineAttr{Bound: f.num("bound", 0), Scale: f.num("scale", 0), Least: 1e-3, Inverse: f.is("inverse")}, x...)
		shape := append([]ir.Dim{ir.D(1)}, x[0].Type().Shape...)
		return []ir.Value{b.Concat(0, b.Reshape(ys[0], shape...), b.Reshape(ys[1], shape...))}
	}
	out["monotonic_path_lengths"], out["rational_spline_inverse"] = out["monotonic_path"], out["rational_spline"]
	out["matmul_broadcast"], out["sort_descending"] = out["matmul"], out["sort"]
	addPoolFormulas(out)
	for _, v := range []string{"causal", "full", "grouped", "offset", "window", "mask", "scale", "softcap",
		"bias", "alibi", "alibi_6", "segments", "segments_full", "lengths"} {
		out["attention_"+v] = attentionFormula
	}
	return out
}

// Values and gradients are those of PyTorch.
func TestGolden(t *testing.T) {
	table := newTable(t)
	all := formulas()
	files, err := filepath.Glob(filepath.Join(golden, "ops", "*.safetensors"))
	if err != nil || len(files) < len(all) {
		t.Fatalf("%d fixtures for %d formulas, error %v", len(files), len(all), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".safetensors")
		if strings.HasPrefix(name, "cross_entropy") || name == "pad_reflect" {
			continue // an objective, and an extension that no op has
		}
		t.Run(name, func(t *testing.T) {
			build, ok := all[name]
			if strings.HasPrefix(name, "conv") {
				build, ok = convFormula(name), true
			}
			if !ok {
				t.Fatal("no formula for this fixture")
			}
			checkGolden(t, table, readFixture(t, file), build)
		})
	}
}

func checkGolden(t *testing.T, table *Table, f fixture, build formula) {
	t.Helper()
	fused := NewBuilder(table)
	var x []ir.Value
	for i := 0; ; i++ {
		name := "x" + string(rune('0'+i))
		ty, ok := f.types[name]
		if !ok {
			break
		}
		x = append(x, fused.Graph.AddInput(name, ty, ir.Pos{}))
	}
	ys := build(fused, f, x)
	b := NewBuilder(table)
	at := b.Lowered(fused.Graph, nil)
	if err := first(fused.Err(), b.Err()); err != nil {
		t.Fatal(err)
	}
	results := map[string]ir.Value{"y": at[ys[0]], "y0": at[ys[0]]}
	if len(ys) > 1 {
		results["y1"] = at[ys[1]]
	}
	dy := "dy"
	if _, ok := f.types["dy0"]; ok {
		dy = "dy0"
	}
	if ty, ok := f.types[dy]; ok {
		seed := b.Graph.AddInput(dy, ty, ir.Pos{})
		for i, v := range x {
			name := "d" + v.Node.InputName()
			if _, ok := f.types[name]; ok {
				results[name] = b.Grad(at[ys[0]], seed, at[x[i]])[0]
			}
		}
	}
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	values, err := Values(table, b.Graph, f.numbers, nil)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for name, want := range f.numbers {
		if name[0] != 'y' && !strings.HasPrefix(name, "dx") {
			continue
		}
		checked++
		got := values[results[name]]
		if len(got) != len(want) {
			t.Fatalf("%s has %d elements, want %d", name, len(got), len(want))
		}
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= 1e-10*math.Max(1, math.Abs(want[i]))) {
				t.Errorf("%s[%d] = %v, want %v", name, i, got[i], want[i])
				break
			}
		}
	}
	if checked == 0 {
		t.Error("the fixture has no values")
	}
}
