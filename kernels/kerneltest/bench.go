package kerneltest

import (
	"testing"

	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/bench"
)

// Bench measures be's kernels on the cases that are marked Large, as package
// bench lists and runs them. It reports GFLOP/s by the op's cost, and GB/s of
// inputs and outputs. Ops without a kernel are left out.
func Bench(b *testing.B, be kernels.Backend) {
	table, err := op.New()
	if err != nil {
		b.Fatal(err)
	}
	list, err := bench.List(be, table)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range list {
		if c.FLOPs > bench.Huge {
			continue
		}
		b.Run(c.String(), func(b *testing.B) { measure(b, be, &c) })
	}
}

func measure(b *testing.B, be kernels.Backend, c *bench.Case) {
	call, err := c.Bind(be)
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := call.Run(ctx); err != nil {
			b.Fatal(err)
		}
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(c.FLOPs)/seconds/1e9, "GFLOP/s")
	b.ReportMetric(float64(c.Read+c.Written)/seconds/1e9, "GB/s")
	if err := call.Free(); err != nil {
		b.Fatal(err)
	}
}
