//go:build linux && (amd64 || arm64)

package cuda

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/emulator"
)

// grouped is y = 2 * x[ids], as two steps, on a device.
type grouped struct {
	*testing.T
	b       *Backend
	ids, y  kernels.Tensor
	steps   []kernels.Step
	library string
}

func newGrouped(t *testing.T) *grouped {
	g := &grouped{T: t, b: open(t), library: emulator.Library(t, ".")}
	x := g.tensor(ir.T(ir.F32, 4, 2))
	g.ids, g.y = g.tensor(ir.T(ir.I32, 3)), g.tensor(ir.T(ir.F32, 3, 2))
	taken := g.tensor(ir.T(ir.F32, 3, 2))
	var data []byte
	for i := range 8 {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(i)))
	}
	g.must(x.Buffer.Write(0, data))
	g.steps = []kernels.Step{g.bind("gather", op.AxisAttr{}, taken, x, g.ids), g.bind("add", nil, g.y, taken, taken)}
	return g
}

func (g *grouped) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func (g *grouped) tensor(ty ir.Type) kernels.Tensor {
	buf, err := g.b.Alloc(ty.Bytes())
	g.must(err)
	g.Cleanup(func() { buf.Free() })
	return kernels.Tensor{Buffer: buf, DType: ty.DType, Shape: ty.Sizes()}
}

func (g *grouped) bind(name string, attr any, out kernels.Tensor, in ...kernels.Tensor) kernels.Step {
	g.Helper()
	var types []ir.Type
	for _, t := range in {
		types = append(types, ir.T(t.DType, t.Shape...))
	}
	k, ok := g.b.Kernel(name, attr, types, []ir.Type{ir.T(out.DType, out.Shape...)})
	if !ok {
		g.Fatal("no kernel", name)
	}
	step, err := k.Bind(kernels.Args{Attr: attr, In: in, Out: []kernels.Tensor{out}})
	g.must(err)
	return step
}

// write sets ids; read returns the first element of each row of y.
func (g *grouped) write(ids ...int32) {
	g.Helper()
	data, err := binary.Append(nil, binary.LittleEndian, ids)
	g.must(err)
	g.must(g.ids.Buffer.Write(0, data))
}

func (g *grouped) read() (x [3]float32) {
	g.Helper()
	data := make([]byte, 24)
	g.must(g.y.Buffer.Read(0, data))
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[8*i:]))
	}
	return x
}

func (g *grouped) counts() (launches, graphs, waits uint64) {
	g.Helper()
	for what, to := range map[string]*uint64{"launches": &launches, "graphs": &graphs, "waits": &waits} {
		n, err := emulator.Count(g.library, what)
		g.must(err)
		*to = n
	}
	return launches, graphs, waits
}

func sayStep(name string) func(int, error) error {
	return func(step int, err error) error { return fmt.Errorf("%s %d: %w", name, step, err) }
}

// The first run launches kernels, the second records them, and from then on a run
// is one launch, without a wait and without memory. What is out of range is told by
// Wait, of the step that read it, and is forgotten then.
func TestGroup(t *testing.T) {
	g := newGrouped(t)
	group := g.b.Group(g.steps, sayStep("step"))
	l0, g0, w0 := g.counts()
	for run := range 4 {
		g.write(int32(run%4), 3, 1)
		g.must(group.Run(t.Context()))
		launches, graphs, _ := g.counts()
		if want := uint64(2 * min(run+1, 2)); launches-l0 != want || graphs-g0 != uint64(run) {
			t.Errorf("run %d: %d launches of kernels, want %d; %d graphs, want %d", run, launches-l0, want, graphs-g0, run)
		}
		if got, want := g.read(), [3]float32{float32(4 * (run % 4)), 12, 4}; got != want {
			t.Errorf("run %d: %v, want %v", run, got, want)
		}
	}
	if _, _, waits := g.counts(); waits-w0 != 4 {
		t.Errorf("%d waits, want those of 4 reads", waits-w0)
	}
	if n := testing.AllocsPerRun(20, func() { g.must(group.Run(t.Context())) }); n != 0 {
		t.Errorf("a run allocates %v times", n)
	}
	g.write(0, 9, 0)
	g.must(group.Run(t.Context()))
	var bad *kernels.IndexError
	if err := group.Wait(t.Context()); !errors.As(err, &bad) || err.Error() != "step 0: index 1 is 9; want 0 to 3" {
		t.Errorf("%v", err)
	}
	g.write(0, 1, 0)
	if err := errors.Join(group.Run(t.Context()), group.Wait(t.Context())); err != nil {
		t.Error(err)
	}
}

// A group that runs in another, again and again, is a part of its graph; alone it
// is a graph of its own. Its mistakes are told with the places in both.
func TestGroupInGroup(t *testing.T) {
	g := newGrouped(t)
	inner := g.b.Group(g.steps, sayStep("inner"))
	loop := func(ctx context.Context) error {
		for range 3 {
			if err := inner.Run(ctx); err != nil {
				return err
			}
		}
		return inner.Wait(ctx)
	}
	outer := g.b.Group([]kernels.Step{nothing, loop}, sayStep("outer"))
	g.write(1, 2, 3)
	_, g0, _ := g.counts()
	for range 3 {
		g.must(outer.Run(t.Context()))
	}
	l1, g1, _ := g.counts()
	if g1-g0 != 2 {
		t.Errorf("%d graphs, want 2", g1-g0)
	}
	g.write(1, 2, -3)
	g.must(outer.Run(t.Context()))
	if err := outer.Wait(t.Context()); err == nil || err.Error() != "outer 1: inner 0: index 2 is -3; want 0 to 3" {
		t.Errorf("%v", err)
	}
	if err := loop(t.Context()); err == nil || err.Error() != "inner 0: index 2 is -3; want 0 to 3" {
		t.Errorf("alone: %v", err)
	}
	if l2, g2, _ := g.counts(); l2-l1 != 4 || g2-g1 != 3 {
		t.Errorf("%d launches of kernels, want 4; %d graphs, want 3", l2-l1, g2-g1)
	}
}

// A group whose steps wait, or that is too long, is no graph; the groups in it are.
func TestGroupApart(t *testing.T) {
	g := newGrouped(t)
	g.write(1, 2, 3)
	waits := g.b.Group([]kernels.Step{g.steps[0], g.b.Sync, g.steps[1]}, sayStep("step"))
	_, g0, _ := g.counts()
	for range 3 {
		g.must(errors.Join(waits.Run(t.Context()), waits.Wait(t.Context())))
	}
	if _, g1, _ := g.counts(); g1 != g0 || g.read() != [3]float32{4, 8, 12} {
		t.Errorf("%d graphs, want none; %v", g1-g0, g.read())
	}
	inner := g.b.Group([]kernels.Step{g.bind("add", nil, g.y, g.y, g.y)}, sayStep("inner"))
	outer := g.b.Group([]kernels.Step{g.steps[1], inner.Run, inner.Run, inner.Run}, sayStep("outer")).(*group)
	outer.ran, outer.apart = true, true // as after a run of too many launches
	g.must(outer.Run(t.Context()))
	if _, g1, _ := g.counts(); g1-g0 != 2 || g.read() != [3]float32{32, 64, 96} {
		t.Errorf("%d graphs, want 2; %v", g1-g0, g.read())
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := outer.Run(stopped); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A device that is lost says so in every run from then on, of kernels or a graph.
func TestGroupLost(t *testing.T) {
	g := newGrouped(t)
	group := g.b.Group(g.steps, sayStep("step"))
	for range 3 {
		g.must(errors.Join(group.Run(t.Context()), group.Wait(t.Context())))
	}
	g.must(emulator.Set(g.library, "lose=0"))
	defer func() { g.must(emulator.Set(g.library, "lose=18446744073709551615")) }()
	g.must(group.Run(t.Context()))
	if err := group.Wait(t.Context()); err == nil {
		t.Error("a lost device is not told")
	}
	if err := group.Run(t.Context()); err == nil {
		t.Error("a graph is launched on a lost device")
	}
}

// A group for whose graph there is no memory runs kernel after kernel.
func TestGroupWithoutMemory(t *testing.T) {
	g := newGrouped(t)
	group := g.b.Group(g.steps, sayStep("step"))
	g.must(emulator.Set(g.library, "graph=1000000000000"))
	defer func() { g.must(emulator.Set(g.library, "graph=0")) }()
	g.write(1, 2, 3)
	l0, g0, _ := g.counts()
	for range 4 {
		g.must(errors.Join(group.Run(t.Context()), group.Wait(t.Context())))
	}
	if l1, g1, _ := g.counts(); l1-l0 != 10 || g1 != g0 || g.read() != [3]float32{4, 8, 12} { // 2 of them recorded in vain
		t.Errorf("%d launches of kernels, want 10; %d graphs, want none; %v", l1-l0, g1-g0, g.read())
	}
}
