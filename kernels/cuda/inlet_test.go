//go:build linux && (amd64 || arm64)

package cuda

import (
	"encoding/binary"
	"testing"

	"pipe.dev/kernels/cuda/emulator"
)

// What fills an inlet is on its way while a run that was begun is not done: the run reads what
// was taken before it, the next one what was filled beside it. Nothing is allocated and the
// host does not wait.
func TestInlet(t *testing.T) {
	g := newGrouped(t)
	group := g.b.Group(g.steps, sayStep("step"))
	in, err := g.b.Inlet(300)
	g.must(err)
	fill := func(ids ...int32) {
		data, err := binary.Append(nil, binary.LittleEndian, ids)
		g.must(err)
		g.must(in.Fill(256, data))
	}
	run := func() {
		g.must(in.Take(256, 12, g.ids.Buffer, g.ids.Offset))
		g.must(group.Run(t.Context()))
	}
	beside := g.count("beside")
	fill(0, 1, 2)
	run()
	fill(3, 3, 1) // while the run is in the stream
	if g.count("beside") == beside {
		t.Error("nothing was copied beside a run")
	}
	if got := g.read(); got != [3]float32{0, 4, 8} {
		t.Errorf("%v, want what was taken before the run", got)
	}
	run()
	waits := g.count("waits")
	fill(1, 0, 0)
	run()
	fill(2, 2, 2)
	if g.count("waits") != waits {
		t.Error("the host waits")
	}
	if got := g.read(); got != [3]float32{4, 0, 0} {
		t.Errorf("%v, want what was taken last", got)
	}
	data := make([]byte, 12)
	if n := testing.AllocsPerRun(10, func() {
		g.must(in.Fill(0, data))
		g.must(in.Take(0, 12, g.ids.Buffer, g.ids.Offset))
	}); n != 0 {
		t.Errorf("filling and taking allocate %v times", n)
	}
	if in.Fill(290, data) == nil || in.Take(290, 12, g.ids.Buffer, 0) == nil || in.Take(0, 12, g.ids.Buffer, 8) == nil {
		t.Error("bytes beyond the inlet, or beyond the buffer")
	}
	g.must(in.Free())
}

func (g *grouped) count(what string) uint64 {
	g.Helper()
	n, err := emulator.Count(g.library, what)
	g.must(err)
	return n
}
