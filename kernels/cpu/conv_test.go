package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// convUses are larger than the cases of the table: several blocks of rows and
// of the sum, weights whose rows are crowded, panels that cross samples.
func convUses() []op.Case {
	f := func(shapes ...[]int) []ir.Type {
		var in []ir.Type
		for _, s := range shapes {
			in = append(in, ir.T(ir.F32, s...))
		}
		return in
	}
	one := op.ConvAttr{Stride: "1", Before: "3", After: "4", Dilation: "1", Groups: 1}
	strided := op.ConvAttr{Stride: "2,2", Before: "1,0", After: "1,1", Dilation: "1,1", Groups: 2}
	with := func(a op.ConvAttr, size op.Dims, kernel op.Ints) op.ConvAttr {
		a.Size, a.Kernel = size, kernel
		return a
	}
	plane := func(before, after, dilation op.Ints) op.ConvAttr { // each of three channels by itself
		return op.ConvAttr{Stride: "1,1", Before: before, After: after, Dilation: dilation, Groups: 3}
	}
	return []op.Case{
		{Name: "conv", In: f([]int{2, 128, 45}, []int{401, 128, 8}), Attr: one},
		{Name: "conv", In: f([]int{3, 20, 13, 11}, []int{150, 10, 3, 3}), Attr: strided},
		{Name: "conv", In: f([]int{1, 3, 5000}, []int{3, 1, 8}), Attr: op.ConvAttr{Stride: "1", Before: "3", After: "4", Dilation: "1", Groups: 3}},
		{Name: "conv", In: f([]int{2, 3, 27, 31}, []int{3, 1, 3, 3}), Attr: plane("1,1", "1,1", "1,1")},
		{Name: "conv", In: f([]int{1, 3, 90, 27}, []int{3, 1, 5, 3}), Attr: plane("4,2", "4,2", "2,2")},
		{Name: "conv", In: f([]int{1, 3, 24, 29}, []int{3, 1, 4, 2}), Attr: plane("1,0", "2,1", "1,1")},
		{Name: "conv_transpose", In: f([]int{1, 3, 25, 33}, []int{3, 1, 3, 7}), Attr: with(plane("1,3", "1,3", "1,1"), "25,33", "")},
		{Name: "conv_transpose", In: f([]int{2, 401, 45}, []int{401, 128, 8}), Attr: with(one, "45", "")},
		{Name: "conv_transpose", In: f([]int{3, 150, 7, 5}, []int{150, 10, 3, 3}), Attr: with(strided, "13,11", "")},
		{Name: "conv_weight_grad", In: f([]int{2, 40, 300}, []int{2, 301, 300}), Attr: with(one, "", "8")},
		{Name: "conv_weight_grad", In: f([]int{3, 20, 13, 11}, []int{3, 150, 7, 5}), Attr: with(strided, "", "3,3")},
	}
}

// Results are those of the reference loops, and have the same bits whatever
// the tier and the number of threads.
func TestConv(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range convUses() {
		d, _ := table.Lookup(c.Name)
		out, err := d.Infer(c.In, c.Attr)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(5, uint64(i)))
		xs, wide := make([][]float32, len(c.In)), make([][]float64, len(c.In))
		for k, typ := range c.In {
			xs[k] = random(r, typ.Elems())
			for j, v := range xs[k] {
				v *= 0.2
				xs[k][j] = v
				wide[k] = append(wide[k], float64(v))
			}
		}
		want, err := table.Reference(c.Name, c.Attr, wide, c.In)
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("%s %v", c.Name, c.In)
		checkConv(t, what, c, out[0], xs, want[0])
	}
}

func checkConv(t *testing.T, what string, c op.Case, out ir.Type, xs [][]float32, want []float64) {
	var bits []float32
	for _, threads := range []int{1, 2, 3} {
		for tier, b := range backends(t, threads) {
			var in []kernels.Tensor
			for k, typ := range c.In {
				in = append(in, put(t, b, ir.F32, xs[k], "", typ.Sizes()...))
			}
			y := put(t, b, ir.F32, nil, "", out.Sizes()...)
			run(t, b, c.Name, c.Attr, in, y)
			got := get(t, y)
			near(t, what, got, want, 1e-4)
			if bits == nil {
				bits = got
			}
			sameBits(t, fmt.Sprintf("%s: %s with %d threads", what, tier, threads), got, bits)
		}
	}
}

// Every case of the table has the same bits in every tier.
func TestConvTiers(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	all := backends(t, 2)
	for _, d := range table.Defs() {
		if !strings.HasPrefix(d.Name, "conv") || strings.HasSuffix(d.Name, op.Plus) { // for which the processor has no kernel
			continue
		}
		for _, c := range d.Cases {
			if c.Large {
				continue
			}
			out, err := d.Infer(c.In, c.Attr)
			if err != nil {
				t.Fatal(err)
			}
			var bits []float32
			for _, b := range all {
				y := put(t, b, ir.F32, nil, "", out[0].Sizes()...)
				run(t, b, d.Name, c.Attr, sampled(t, b, d.Name, c), y)
				if bits == nil {
					bits = get(t, y)
				}
				sameBits(t, d.Name+" "+c.Name+" "+b.Tier(), get(t, y), bits)
			}
		}
	}
}

// Winograd's algorithm is within 1e-6 of the sum of |x w|, and its typical
// error at most twice that of the plain form.
func TestWinogradError(t *testing.T) {
	const channels, rows, high, wide = 320, 12, 21, 18
	b := open(t, Options{Threads: 2})
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 8))
	types := []ir.Type{ir.T(ir.F32, 1, channels, high, wide), ir.T(ir.F32, rows, channels, 3, 3)}
	at := op.ConvLayerAttr{OutChannels: rows, Kernel: "3", Padding: "1", Groups: 1}
	var in []kernels.Tensor
	exact, sizes := make([][]float64, 2), make([][]float64, 2)
	for i, typ := range types {
		x := random(r, typ.Elems())
		in = append(in, put(t, b, ir.F32, x, "", typ.Sizes()...))
		for _, v := range x {
			exact[i], sizes[i] = append(exact[i], float64(v)), append(sizes[i], math.Abs(float64(v)))
		}
	}
	want, err := table.Reference("conv2d", at, exact, types)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := table.Reference("conv2d", at, sizes, types)
	if err != nil {
		t.Fatal(err)
	}
	squares := map[string]float64{}
	for _, how := range []string{"", op.Winograd} {
		at.Algorithm = how
		y := put(t, b, ir.F32, nil, "", 1, rows, high, wide)
		run(t, b, "conv2d", at, in, y)
		for i, v := range get(t, y) {
			d := math.Abs(float64(v) - want[0][i])
			if d > 1e-6*sums[0][i] {
				t.Fatalf("%s: element %d is off by %g, more than 1e-6 of %g", how, i, d, sums[0][i])
			}
			squares[how] += d * d
		}
	}
	ratio := math.Sqrt(squares[op.Winograd] / squares[""])
	t.Logf("typical error %.2f times that of the plain form", ratio)
	if ratio > 2 {
		t.Errorf("typical error is %.2f times that of the plain form, want at most 2", ratio)
	}
}

// Weights of 16 bits give the bits of the same numbers in f32, in every tier: as a product, by taps and by Winograd's tiles.
func TestConvNarrowWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, c := range []struct {
		what, kernel, padding, algorithm string
		size                             int
	}{{"product", "1", "0", "", 1}, {"taps", "3", "1", "", 3}, {"winograd", "3", "1", op.Winograd, 3}} {
		at := op.ConvLayerAttr{OutChannels: 50, Kernel: op.Ints(c.kernel), Padding: op.Ints(c.padding), Groups: 1, Algorithm: c.algorithm}
		x, w := random(r, 2*37*15*13), random(r, 50*37*c.size*c.size)
		for _, d := range []ir.DType{ir.F16, ir.BF16} {
			known := decode(d, encode(d, w))
			var bits []float32
			for tier, b := range backends(t, 2) {
				for _, stored := range []ir.DType{ir.F32, d} {
					weight := ir.T(stored, 50, 37, c.size, c.size)
					in := []kernels.Tensor{put(t, b, ir.F32, x, "", 2, 37, 15, 13), put(t, b, stored, known, b.Layout("conv2d", at, 1, weight), weight.Sizes()...)}
					y := put(t, b, ir.F32, nil, "", 2, 50, 15, 13)
					run(t, b, "conv2d", at, in, y)
					if bits == nil {
						bits = get(t, y)
					}
					sameBits(t, fmt.Sprintf("%s: %s: %v of %v", tier, c.what, stored, d), get(t, y), bits)
				}
			}
		}
	}
}

// A sample has the same bits alone, where Winograd's tiles are few, and beside others.
func TestWinogradBatch(t *testing.T) {
	const channels, rows, side, samples = 40, 50, 16, 3
	r := rand.New(rand.NewPCG(11, 12))
	at := op.ConvLayerAttr{OutChannels: rows, Kernel: "3", Padding: "1", Groups: 1, Algorithm: op.Winograd}
	x, w := random(r, samples*channels*side*side), random(r, rows*channels*9)
	for tier, b := range backends(t, 2) {
		weight := put(t, b, ir.F32, w, "", rows, channels, 3, 3)
		of := func(x []float32, n int) []float32 {
			y := put(t, b, ir.F32, nil, "", n, rows, side, side)
			run(t, b, "conv2d", at, []kernels.Tensor{put(t, b, ir.F32, x, "", n, channels, side, side), weight}, y)
			return get(t, y)
		}
		all, n := of(x, samples), channels*side*side
		for i := range samples {
			sameBits(t, fmt.Sprintf("%s: sample %d", tier, i), of(x[i*n:(i+1)*n], 1), all[i*rows*side*side:(i+1)*rows*side*side])
		}
	}
}
