//go:build linux && (amd64 || arm64)

package cuda

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
)

// Rows of experts have the same bits whether those of an expert are put together or
// not; none gives zeros.
func TestExperts(t *testing.T) {
	const tokens, choices, experts, n, k = 37, 2, 3, 20, 256
	b := open(t)
	attr := op.ExpertLinearAttr{OutFeatures: n, Experts: experts}
	for _, d := range []ir.DType{ir.Q4_K, ir.Q8_0, ir.NF4, ir.F32, ir.BF16} {
		r := rand.New(rand.NewPCG(4, uint64(d)))
		w := weights(t, b, r, d, experts, n, k)
		x, chosen := make([]float32, tokens*k), make([]float64, tokens*choices)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		for i := range chosen {
			chosen[i] = float64(r.IntN(experts+1) - 1)
		}
		for _, own := range []bool{false, true} {
			rows, xs := tokens, []int{tokens, k}
			if own {
				rows, xs = tokens/2, []int{tokens / 2, choices, k}
			}
			in := []kernels.Tensor{put(t, b, ir.F32, "", f32Bytes(x[:prod(xs)]), xs...),
				put(t, b, ir.I32, "", cases.Encode(ir.I32, chosen[:rows*choices]), rows, choices), w}
			types := []ir.Type{ir.T(ir.F32, xs...), ir.T(ir.I32, rows, choices), ir.T(d, experts, n, k)}
			var alone []float32
			for i := range rows {
				at := []kernels.Tensor{piece(in[0], i*prod(xs[1:]), prod(xs[1:])), piece(in[1], i*choices, choices), w}
				at[0].Shape, at[1].Shape = append([]int{1}, xs[1:]...), []int{1, choices}
				alone = append(alone, product(t, b, "expert_linear", attr, at, 1, choices, n)...)
			}
			for _, by := range []int{fewSlots, someSlots, manySlots} {
				var k kernels.Kernel = blockProduct{b: b, dtype: d, weights: []int{2}, chosen: 1, experts: experts, features: n, rows: by}
				if !d.Blocked() {
					k, _ = b.Kernel("expert_linear", attr, types, []ir.Type{ir.T(ir.F32, rows, choices, n)})
				}
				y := outcome(t, b, k, attr, in, types, rows, choices, n)
				for i, v := range y {
					if math.Float32bits(v) != math.Float32bits(alone[i]) || chosen[i/n] < 0 && v != 0 {
						t.Fatalf("%v: element %d of expert %v is %v by %d, %v alone", d, i, chosen[i/n], v, by, alone[i])
					}
				}
			}
		}
	}
}

// weights makes random ones.
func weights(t *testing.T, b *Backend, r *rand.Rand, d ir.DType, shape ...int) kernels.Tensor {
	t.Helper()
	if d.Blocked() {
		data, _ := randomBlocks(t, r, d, prod(shape))
		return put(t, b, d, Planes, data, shape...)
	}
	values := make([]float64, prod(shape))
	for i := range values {
		values[i] = r.NormFloat64()
	}
	return put(t, b, d, "", cases.Encode(d, values), shape...)
}

// An expert that there isn't is told with its place, by each of the kernels.
func TestExpertOutOfRange(t *testing.T) {
	const experts, n, k = 3, 8, 256
	b, r := open(t), rand.New(rand.NewPCG(5, 6))
	linear, grad := op.ExpertLinearAttr{OutFeatures: n, Experts: experts}, op.ExpertGradAttr{Experts: experts}
	for _, tokens := range []int{2, 37} {
		chosen := make([]float64, 2*tokens)
		chosen[3], chosen[2] = experts, -1
		x, picks := put(t, b, ir.F32, "", f32Bytes(make([]float32, tokens*k)), tokens, k), put(t, b, ir.I32, "", cases.Encode(ir.I32, chosen), tokens, 2)
		dy := put(t, b, ir.F32, "", f32Bytes(make([]float32, tokens*2*n)), tokens, 2, n)
		for _, c := range []struct {
			name string
			attr any
			in   []kernels.Tensor
			out  []int
		}{
			{"expert_linear", linear, []kernels.Tensor{x, picks, weights(t, b, r, ir.Q8_0, experts, n, k)}, []int{tokens, 2, n}},
			{"expert_linear", linear, []kernels.Tensor{x, picks, weights(t, b, r, ir.F32, experts, n, k)}, []int{tokens, 2, n}},
			{"expert_linear_grad", grad, []kernels.Tensor{x, picks, dy}, []int{experts, n, k}},
		} {
			var types []ir.Type
			for _, x := range c.in {
				types = append(types, ir.T(x.DType, x.Shape...))
			}
			kernel, ok := b.Kernel(c.name, c.attr, types, []ir.Type{ir.T(ir.F32, c.out...)})
			if !ok {
				t.Fatalf("no kernel for %s of %v", c.name, types)
			}
			args := kernels.Args{Attr: c.attr, In: c.in, Out: []kernels.Tensor{put(t, b, ir.F32, "", nil, c.out...)}}
			if n := kernel.Scratch(c.attr, types, nil); n > 0 {
				args.Scratch = put(t, b, ir.U8, "", nil, int(n))
			}
			step, err := kernel.Bind(args)
			if err == nil {
				err = step(t.Context())
			}
			var bad *kernels.IndexError
			if !errors.As(err, &bad) || *bad != (kernels.IndexError{At: 3, Index: experts, Limit: experts}) {
				t.Errorf("%s of %v: %v", c.name, types, err)
			}
		}
	}
}

// Gradients of experts' weights by tensor cores have the bits of those by FMA of the same
// numbers, in pieces of 512 rows; so have those in tf32, which holds them.
func TestExpertGradTensor(t *testing.T) {
	b := open(t)
	defer noConflicts(t)()
	for _, c := range []struct{ tokens, choices, experts, out, in int }{
		{45, 2, 3, 136, 24}, {21, 3, 5, 7, 131}, {530, 1, 1, 16, 9},
	} {
		for _, d := range []ir.DType{ir.BF16, ir.F16} {
			r := rand.New(rand.NewPCG(uint64(d), 7))
			x, _ := normals(r, d, c.tokens*c.in)
			dy, _ := normals(r, d, c.tokens*c.choices*c.out)
			chosen := make([]float64, c.tokens*c.choices)
			for i := range chosen {
				if chosen[i] = float64(r.IntN(c.experts+1) - 1); c.experts == 1 {
					chosen[i] = 0
				}
			}
			run := func(d ir.DType, tf32 bool, from, to int) []float64 {
				n := to - from
				in := []ir.Type{ir.T(d, n, c.in), ir.T(ir.I32, n, c.choices), ir.T(d, n, c.choices, c.out)}
				data := [][]float64{x[from*c.in : to*c.in], chosen[from*c.choices : to*c.choices], dy[from*c.choices*c.out : to*c.choices*c.out]}
				return compute(t, b, "expert_linear_grad", op.ExpertGradAttr{Experts: c.experts, TF32: tf32}, in, []ir.Type{ir.T(ir.F32, c.experts, c.out, c.in)}, data)[0]
			}
			got, want := run(d, false, 0, c.tokens), run(ir.F32, false, 0, min(c.tokens, 512))
			if c.tokens > 512 {
				for i, v := range run(ir.F32, false, 512, c.tokens) {
					want[i] = float64(float32(want[i]) + float32(v))
				}
			}
			if !slices.Equal(got, want) || !slices.Equal(run(ir.F32, true, 0, c.tokens), want) {
				t.Errorf("%v %+v: not the sums in f32 of the same numbers", d, c)
			}
		}
	}
}
