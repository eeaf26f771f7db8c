package compiler

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu"
)

func newContext(t *testing.T) (*op.Table, Options) {
	t.Helper()
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	return table, Options{Entry: Entry{Name: "test"}, Target: target(t)}
}

func target(t testing.TB) kernels.Backend {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	return be
}

// pattern is a graph written in simple ops, and the op it should become.
type pattern struct {
	name, want string
	not        string // an op that must be left, where fusing would be wrong
	build      func(b *op.Builder, f func(sizes ...int) ir.Value, w func(path string, sizes ...int) ir.Value) ir.Value
}

var patterns = []pattern{
	{name: "matmul of a weight", want: "linear", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		return b.MatMul(f(2, 3, 5), w("w", 5, 7), false, false)
	}},
	{name: "bias and activation", want: "linear{outfeatures=7 bias=true act=silu}", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		y := b.Add(w("b", 7), b.MatMul(f(2, 3, 5), w("w", 7, 5), false, true))
		return b.Mul(y, b.Sigmoid(y))
	}},
	{name: "gated", want: "gated_linear", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		x := f(2, 3, 5)
		g := b.MatMul(x, w("g", 7, 5), false, true)
		return b.Mul(b.Mul(g, b.Sigmoid(g)), b.MatMul(x, w("u", 7, 5), false, true))
	}},
	{name: "gated over two inputs", not: "gated_linear", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		g := b.MatMul(f(2, 5), w("g", 7, 5), false, true)
		return b.Mul(b.Sigmoid(g), b.MatMul(f(2, 5), w("u", 7, 5), false, true))
	}},
	{name: "gated halves", want: "gated_halves{outfeatures=6 act=gelu bias=true}", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		y := b.Add(w("b", 12), b.MatMul(f(2, 3, 5), w("w", 12, 5), false, true))
		half := func(i int) ir.Value {
			return b.Apply("slice", op.SliceAttr{Axis: -1, Start: 6 * i, Stop: 6*i + 6, Step: 1}, y)[0]
		}
		return b.Mul(half(0), b.Act("gelu", half(1)))
	}},
	{name: "gated by a part that is no half", not: "gated_halves", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		y := b.MatMul(f(2, 3, 5), w("w", 12, 5), false, true)
		part := func(i int) ir.Value {
			return b.Apply("slice", op.SliceAttr{Axis: -1, Start: i, Stop: i + 6, Step: 1}, y)[0]
		}
		return b.Mul(part(0), b.Act("gelu", part(5)))
	}},
	{name: "convolution and activation", want: "conv2d{outchannels=3 kernel=3 groups=1 act=silu}", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		y := b.Apply("conv2d", op.ConvLayerAttr{OutChannels: 3, Kernel: "3", Groups: 1}, f(1, 2, 5, 5), w("w", 3, 2, 3, 3))[0]
		return b.Mul(y, b.Sigmoid(y))
	}},
	{name: "transposed convolution and activation", want: "conv_transpose1d{outchannels=3 kernel=3 groups=1 act=tanh}", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		return b.Tanh(b.Apply("conv_transpose1d", op.ConvTransposeLayerAttr{OutChannels: 3, Kernel: "3", Groups: 1}, f(1, 2, 5), w("w", 2, 3, 3))[0])
	}},
	{name: "softmax", want: "softmax", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		x := f(3, 9)
		e := b.Exp(b.Sub(x, b.ReduceMax(x, true, -1)))
		return b.Div(e, b.Sum(e, true, -1))
	}},
	{name: "softmax over the wrong axis", not: "softmax", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		x := f(3, 9)
		e := b.Exp(b.Sub(x, b.ReduceMax(x, true, -1)))
		return b.Div(e, b.Sum(e, true, 0))
	}},
	{name: "rms norm", want: "rms_norm{eps=0.001}", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		x := f(3, 9)
		m := b.Add(b.Mean(b.Mul(x, x), true, -1), b.Scalar(1e-3, x))
		return b.Mul(w("w", 9), b.Mul(b.Rsqrt(m), x))
	}},
	{name: "rms norm of another value", not: "rms_norm", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		x, z := f(3, 9), f(3, 9)
		m := b.Add(b.Mean(b.Mul(x, x), true, -1), b.Scalar(1e-3, x))
		return b.Mul(w("w", 9), b.Mul(b.Rsqrt(m), z))
	}},
	{name: "layer norm", want: "layer_norm{eps=0.001 affine=true}", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		x := f(3, 9)
		d := b.Sub(x, b.Mean(x, true, -1))
		v := b.Add(b.Mean(b.Mul(d, d), true, -1), b.Scalar(1e-3, x))
		return b.Add(b.Mul(b.Div(d, b.Sqrt(v)), w("w", 9)), w("b", 9))
	}},
	{name: "group norm and activation", want: "group_norm{groups=2 eps=0.001 affine=true act=silu}", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		y := b.Apply("group_norm", op.GroupNormAttr{Groups: 2, Eps: 1e-3, Affine: true}, f(2, 4, 3, 3), w("w", 4), w("b", 4))[0]
		return b.Mul(y, b.Sigmoid(y))
	}},
	{name: "attention", want: "attention{scale=0.3}", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		q, k, v, mask := f(2, 3, 4, 5), f(2, 3, 6, 5), f(2, 3, 6, 7), f(4, 6)
		s := b.Add(b.Mul(b.MatMul(q, k, false, true), b.Scalar(0.3, q)), mask)
		return b.MatMul(b.Softmax(s, -1), v, false, false)
	}},
	{name: "elementwise chain", want: "elementwise", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		x, y := f(3, 9), f(3, 9)
		return b.Add(b.Exp(b.Mul(x, y)), w("b", 9))
	}},
	{name: "transposes that undo each other", not: "transpose", build: func(b *op.Builder, f func(...int) ir.Value, w func(string, ...int) ir.Value) ir.Value {
		return b.Neg(b.Transpose(b.Transpose(f(2, 3, 4), 1, 2, 0), 2, 0, 1))
	}},
}

// TestFuse checks that what is written in simple ops becomes the op that has a
// kernel, and means the same.
func TestFuse(t *testing.T) {
	for _, c := range patterns {
		t.Run(c.name, func(t *testing.T) {
			table, o := newContext(t)
			b := op.NewBuilder(table)
			r := rand.New(rand.NewPCG(1, 2))
			inputs, states := map[string][]float64{}, map[string][]float64{}
			sample := func(v ir.Value) []float64 {
				data := make([]float64, v.Type().Elems())
				for i := range data {
					data[i] = r.Float64()*2 - 1
				}
				return data
			}
			y := c.build(b, func(sizes ...int) ir.Value {
				name := string(rune('a' + len(inputs)))
				v := b.Graph.AddInput(name, ir.T(ir.F32, sizes...), ir.Pos{})
				inputs[name] = sample(v)
				return v
			}, func(path string, sizes ...int) ir.Value {
				s := b.Graph.AddState(ir.State{Path: path}, ir.T(ir.F32, sizes...))
				states[path] = sample(s.Read)
				return s.Read
			})
			if b.Err() != nil {
				t.Fatal(b.Err())
			}
			b.Graph.Outputs = []ir.Output{{Name: "y", Value: y}}
			want, err := op.Eval(table, b.Graph, inputs, states)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Optimize(b.Graph, table, o)
			if err != nil {
				t.Fatal(err)
			}
			text := p.Graph().String()
			if c.want != "" && !strings.Contains(text, "= "+c.want) {
				t.Errorf("want %s in\n%s", c.want, text)
			}
			if c.not != "" && strings.Contains(text, "= "+c.not) {
				t.Errorf("want no %s in\n%s", c.not, text)
			}
			got, err := op.Eval(table, p.Graph(), inputs, states)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range want["y"] {
				if g := got["y"][i]; math.Abs(g-w) > 1e-9*math.Max(1, math.Abs(w)) {
					t.Fatalf("y[%d] = %v, want %v", i, g, w)
				}
			}
		})
	}
}
