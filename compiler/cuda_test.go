//go:build linux && (amd64 || arm64)

package compiler_test

import (
	"context"
	"encoding/binary"
	"math"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/kernels/cuda"
	"pipe.dev/kernels/cuda/emulator"
	"pipe.dev/schema"
)

// A step of training on the emulated device is one launch of a graph, from its third
// run on, and allocates nothing, with its inputs and results; its losses are those of the
// processor but for rounding.
func TestTrainStepIsOneGraph(t *testing.T) {
	library := emulator.Library(t, "../kernels/cuda")
	device, err := cuda.New(cuda.Options{Library: library})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	m, err := schema.LoadModel(llama)
	if err != nil {
		t.Fatal(err)
	}
	const rows, seq = 1, 6
	sizes := map[string]int{"batch": rows, "seq": seq}
	host := newTrainerOf(t, m, llama, "cross_entropy", &compiler.Training{}, sizes)
	run := newTrainerOn(t, device, m, llama, "cross_entropy", &compiler.Training{}, sizes)
	var ids, targets []byte
	for i := range rows * seq {
		ids = binary.LittleEndian.AppendUint32(ids, uint32(i*5%29))
		targets = binary.LittleEndian.AppendUint32(targets, uint32((i+1)*5%29))
	}
	for n := 1; n <= 3; n++ {
		got, want := run.step(n, ids, targets), host.step(n, ids, targets)
		if !(math.Abs(got-want) <= 1e-5*want) {
			t.Errorf("step %d: loss %v, on the processor %v", n, got, want)
		}
	}
	count := func(what string) uint64 {
		n, err := emulator.Count(library, what)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	launches, graphs := count("launches"), count("graphs")
	ctx, loss := context.Background(), make([]byte, 4)
	const steps = 3
	allocs := testing.AllocsPerRun(steps-1, func() {
		err := run.run.Write("ids", ids)
		if err == nil {
			err = run.run.Write("targets", targets)
		}
		if err == nil {
			err = run.run.Run(ctx)
		}
		if err == nil {
			err = run.run.Wait(ctx)
		}
		if err == nil {
			err = run.run.Read("loss", loss)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if l, n := count("launches")-launches, count("graphs")-graphs; l != 0 || n != steps || allocs != 0 {
		t.Errorf("%d steps are %d launches of kernels and %d of graphs, and allocate %v times; want 0, %d and 0", steps, l, n, allocs, steps)
	}
}
