package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// BenchmarkRows measures functions of rows over 64 MiB: GB/s of what is read
// and written, and as a share of what copying does in turns with them. The
// memory is taken in slabs, and the least of their times counts, so that other
// work on the machine disturbs little.
func BenchmarkRows(b *testing.B) {
	for _, info := range Tiers() {
		if !info.Available || info.Name == "generic" {
			continue
		}
		for _, threads := range []int{1, 2} {
			be := open(b, Options{Threads: threads, Tier: info.Name})
			be.streamFrom = 0 // the slabs stand for one large tensor
			for _, c := range []struct {
				name, op string
				attr     any
				weight   bool
			}{
				{"softmax", "softmax", op.AxisAttr{Axis: -1}, false},
				{"log_softmax", "log_softmax", op.AxisAttr{Axis: -1}, false},
				{"layer_norm", "layer_norm", op.LayerNormAttr{Eps: 1e-5}, false},
				{"leaky_relu", "act", op.DefaultAct("leaky_relu"), false},
				{"sigmoid", "sigmoid", nil, false},
				{"rms_norm", "rms_norm", op.RMSNormAttr{Eps: 1e-5}, true},
				{"gelu", "act", op.DefaultAct("gelu"), false},
				{"gelu_tanh", "act", op.DefaultAct("gelu_tanh"), false},
				{"silu", "act", op.DefaultAct("silu"), false},
				{"exp", "exp", nil, false},
				{"erf", "erf", nil, false},
				{"add", "add", nil, true},
			} {
				b.Run(fmt.Sprintf("%s/%s/threads=%d", c.name, info.Name, threads), func(b *testing.B) {
					benchRows(b, be, c.op, c.attr, c.weight)
				})
			}
		}
	}
}

func benchRows(b *testing.B, be *Backend, name string, attr any, weight bool) {
	const rows, dim, slab = 8192, 2048, 512
	const bytes = 4 * slab * dim
	x := put(b, be, ir.F32, random(rand.New(rand.NewPCG(1, 2)), rows*dim), "", rows, dim)
	y := put(b, be, ir.F32, nil, "", rows, dim)
	w := put(b, be, ir.F32, random(rand.New(rand.NewPCG(3, 4)), dim), "", dim)
	vs, err := be.views(x, y)
	if err != nil {
		b.Fatal(err)
	}
	vx, vy := vs[0], vs[1]
	var steps, copies []kernels.Step
	for i := 0; i < rows; i += slab {
		at := func(t kernels.Tensor) kernels.Tensor {
			t.Offset, t.Shape = int64(4*i*dim), []int{slab, dim}
			return t
		}
		in := []kernels.Tensor{at(x)}
		if weight {
			in = append(in, w)
		}
		steps = append(steps, bind(b, be, name, attr, in, at(y)))
		copies = append(copies, be.step(slab*dim/streamPart, func(_, id int) {
			lo, hi := span(i*dim/streamPart+id, rows*dim, streamPart)
			be.asm.Stream.Copy(vy.f32()[lo:hi], vx.f32()[lo:hi])
			be.asm.Stream.Fence()
		}))
	}
	ctx := b.Context()
	var took, base []time.Duration
	for b.Loop() {
		for i := range steps {
			start := time.Now()
			_ = steps[i](ctx)
			took = append(took, time.Since(start))
		}
		for i := range copies {
			start := time.Now()
			_ = copies[i](ctx)
			base = append(base, time.Since(start))
		}
	}
	least := func(d []time.Duration) float64 { return slices.Min(d).Seconds() }
	b.ReportMetric(2*bytes/least(took)/1e9, "GB/s")
	b.ReportMetric(100*least(base)/least(took), "%copy")
}
