package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// linearCase is one product of rows, in every way in which it can come.
type linearCase struct {
	m, n, k   int
	x, w, y   ir.DType
	transpose bool
	bias      bool
	act       string
	packed    bool
}

func (c linearCase) String() string {
	return fmt.Sprintf("%dx%dx%d %v %v %v transpose %v bias %v %q packed %v", c.m, c.n, c.k, c.x, c.w, c.y, c.transpose, c.bias, c.act, c.packed)
}

// chain is the one order in which a product may be summed.
func chain(x, w func(k int) float32, k int) float32 {
	var acc float32
	for l := range k {
		acc = asm.FMA(x(l), w(l), acc)
	}
	return acc
}

// run computes the case, and checks the sums against the chain of fused
// multiply-adds, bit for bit, where no function follows; else against float64.
func (c linearCase) run(t *testing.T, b *Backend, seed uint64) []float32 {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	x, w, bias := random(r, c.m*c.k), scaled(random(r, c.n*c.k), c.k), random(r, c.n)
	shape := []int{c.n, c.k}
	at := func(j, l int) float32 { return w[j*c.k+l] }
	if c.transpose {
		shape = []int{c.k, c.n}
		at = func(j, l int) float32 { return w[l*c.n+j] }
	}
	attr := op.LinearAttr{OutFeatures: c.n, Bias: c.bias, Transpose: c.transpose, Act: c.act}
	var l ir.Layout
	if c.packed {
		l = b.Layout("linear", attr, 1, ir.T(c.w, shape...))
	}
	in := []kernels.Tensor{put(t, b, c.x, x, "", c.m, c.k), put(t, b, c.w, w, l, shape...)}
	if c.bias {
		in = append(in, put(t, b, c.w, bias, "", c.n))
	}
	y := put(t, b, c.y, nil, "", c.m, c.n)
	run(t, b, "linear", attr, in, y)
	got := get(t, y)
	want := make([]float32, c.m*c.n)
	exact := make([]float64, c.m*c.n)
	for i := range c.m {
		for j := range c.n {
			v := chain(func(l int) float32 { return x[i*c.k+l] }, func(l int) float32 { return at(j, l) }, c.k)
			var sum float64
			for l := range c.k {
				sum += float64(x[i*c.k+l]) * float64(at(j, l))
			}
			if c.bias {
				v += bias[j]
				sum += float64(bias[j])
			}
			if c.act == "silu" {
				sum /= 1 + math.Exp(-sum)
			}
			want[i*c.n+j], exact[i*c.n+j] = v, sum
		}
	}
	tol := map[ir.DType]float64{ir.F32: 1e-5, ir.BF16: 1. / 256, ir.F16: 1. / 2048}[c.y]
	near(t, fmt.Sprintf("%s: %v", b.Tier(), c), got, exact, tol)
	if c.act == "" {
		encode(c.y, want)
		sameBits(t, fmt.Sprintf("%s: %v", b.Tier(), c), got, want)
	}
	return got
}

// scaled divides w by sqrt(k), so that sums of k products are about 1.
func scaled(w []float32, k int) []float32 {
	for i := range w {
		w[i] /= float32(math.Sqrt(float64(k)))
	}
	return w
}

func linearCases() []linearCase {
	var out []linearCase
	f := ir.F32
	for _, m := range []int{1, 2, 3, 5, 6, 7, 12, 13, 25, 50} {
		for _, n := range []int{1, 31, 32, 33, 96, 130, 257} {
			out = append(out, linearCase{m: m, n: n, k: 33, x: f, w: f, y: f, packed: true})
		}
	}
	for i, d := range []ir.DType{ir.F32, ir.BF16, ir.F16} {
		for _, m := range []int{1, 4, 17} {
			out = append(out,
				linearCase{m: m, n: 150, k: 40, x: f, w: d, y: f, packed: true, bias: true},
				linearCase{m: m, n: 150, k: 40, x: f, w: d, y: f, packed: true, bias: true, transpose: true, act: "silu"},
				linearCase{m: m, n: 70, k: 40, x: f, w: d, y: f, bias: i == 0},
				linearCase{m: m, n: 70, k: 40, x: f, w: d, y: f, transpose: true, bias: true},
				linearCase{m: m, n: 140, k: 40, x: d, w: d, y: d, packed: true, bias: true})
		}
	}
	return append(out,
		linearCase{m: 30, n: 64, k: 2 * packedK, x: f, w: f, y: f, packed: true, bias: true},
		linearCase{m: 30, n: 40, k: packedK + 7, x: f, w: ir.BF16, y: ir.BF16, packed: true, bias: true},
		linearCase{m: 2, n: 40, k: unpackedK + 3, x: f, w: f, y: f},
		linearCase{m: 1, n: 40, k: 2*unpackedK + 3, x: f, w: f, y: f, transpose: true},
		linearCase{m: 400, n: 45, k: 130, x: f, w: f, y: f, bias: true},
		linearCase{m: 400, n: 45, k: 130, x: f, w: f, y: f, bias: true, transpose: true},
		linearCase{m: 13, n: 45, k: 1024, x: f, w: f, y: ir.BF16, bias: true, transpose: true},
		linearCase{m: 300, n: 33, k: 20, x: f, w: f, y: f, packed: true},
		linearCase{m: 0, n: 33, k: 20, x: f, w: f, y: f, packed: true},
		linearCase{m: 3, n: 33, k: 0, x: f, w: f, y: f, packed: true, bias: true})
}

func TestLinear(t *testing.T) {
	for _, threads := range []int{1, 3} {
		for _, b := range backends(t, threads) {
			for i, c := range linearCases() {
				c.run(t, b, uint64(i))
			}
		}
	}
}

func TestGatedLinear(t *testing.T) {
	for _, b := range backends(t, 2) {
		for _, c := range []struct{ m, n, k int }{{1, 150, 33}, {1, 300, 600}, {5, 70, 33}, {40, 33, 1100}, {800, 200, 20}} {
			for _, w := range []ir.DType{ir.F32, ir.BF16} {
				for _, l := range []ir.Layout{N32, ""} {
					testGated(t, b, c.m, c.n, c.k, ir.F32, w, l)
				}
			}
		}
	}
}

func testGated(t *testing.T, b *Backend, m, n, k int, xd, d ir.DType, l ir.Layout) {
	r := rand.New(rand.NewPCG(9, uint64(n)))
	x, g, u := random(r, m*k), scaled(random(r, n*k), k), scaled(random(r, n*k), k)
	xt := put(t, b, xd, x, "", m, k)
	gt, ut := put(t, b, d, g, l, n, k), put(t, b, d, u, l, n, k)
	y := put(t, b, ir.F32, nil, "", m, n)
	run(t, b, "gated_linear", op.GatedLinearAttr{OutFeatures: n, Act: "silu"}, []kernels.Tensor{xt, gt, ut}, y)
	want := make([]float64, m*n)
	for i := range want {
		var a, c float64
		for l := range k {
			v := float64(x[i/n*k+l])
			a += v * float64(g[i%n*k+l])
			c += v * float64(u[i%n*k+l])
		}
		want[i] = a / (1 + math.Exp(-a)) * c
	}
	near(t, fmt.Sprintf("%s: %dx%dx%d %v %q", b.Tier(), m, n, k, d, l), get(t, y), want, 2e-5)
}

func TestLinearDoesNotAllocate(t *testing.T) {
	b := open(t, Options{Threads: 2})
	for _, m := range []int{1, 30} {
		attr := op.LinearAttr{OutFeatures: 512, Bias: true, Act: "silu"}
		in := []kernels.Tensor{put(t, b, ir.F32, nil, "", m, 256), put(t, b, ir.BF16, nil, N32, 512, 256), put(t, b, ir.F32, nil, "", 512)}
		step := bind(t, b, "linear", attr, in, put(t, b, ir.F32, nil, "", m, 512))
		if n := testing.AllocsPerRun(50, func() { _ = step(t.Context()) }); n != 0 {
			t.Errorf("%d rows: %v allocations a step", m, n)
		}
	}
}
