package session

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu"
)

// fixture is a small program with temporaries, a cache and two outputs:
//
//	h = exp(x @ k + 1), with k kept from run to run; y = softmax(h) * h; z = sum(h)
type fixture struct {
	be    *cpu.Backend
	plan  *plan.Plan
	store *Store
	arena kernels.Buffer
	run   *Session
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{}
	if f.be, err = cpu.New(cpu.Options{Threads: 2}); err != nil {
		t.Fatal(err)
	}
	b := op.NewBuilder(table)
	b.Pos = ir.Pos{File: "f.cue", Line: 3, Col: 5, Path: "h"}
	x := b.Graph.AddInput("x", ir.T(ir.F32, 4, 8), b.Pos)
	k := b.Graph.AddState(ir.State{Path: "k", Kind: ir.Cache}, ir.T(ir.F32, 8, 8))
	h := b.Exp(b.Add(b.MatMul(x, k.Read, false, false), b.Scalar(1, x)))
	y := b.Mul(b.Softmax(h, -1), h)
	z := b.Sum(h, false, -1)
	k.Next = b.Add(k.Read, b.MatMul(x, x, true, false))
	b.Graph.Outputs = []ir.Output{{Name: "y", Value: y}, {Name: "z", Value: z}}
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	p, err := compiler.Optimize(b.Graph, table, compiler.Options{Entry: plan.Entry{Name: "test"}, Target: f.be})
	if err != nil {
		t.Fatal(err)
	}
	if f.plan, err = p.Plan(map[string]int{}); err != nil {
		t.Fatal(err)
	}
	f.store = NewStore(f.be)
	if err := f.store.Reserve(f.plan.States); err != nil {
		t.Fatal(err)
	}
	if f.arena, err = f.be.Alloc(f.plan.WorkBytes); err != nil {
		t.Fatal(err)
	}
	f.bind(t)
	t.Cleanup(func() {
		if err := errors.Join(f.store.Free(), f.arena.Free(), f.be.Close()); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fixture) bind(t *testing.T) {
	t.Helper()
	run, err := Bind(f.be, f.plan, f.store, f.arena)
	if err != nil {
		t.Fatal(err)
	}
	f.run = run
}

func (f *fixture) write(t *testing.T, first float32) {
	t.Helper()
	data := make([]byte, 4*4*8)
	for i := range 32 {
		v := float32(i%5) / 10
		if i == 0 {
			v = first
		}
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	if err := f.run.Write("x", data); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) read(t *testing.T) []byte {
	t.Helper()
	out := make([]byte, 4*8*4+4*4)
	if err := errors.Join(f.run.Read("y", out[:128]), f.run.Read("z", out[128:])); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestState checks that a state carries what one run made to the next.
func TestState(t *testing.T) {
	f := newFixture(t)
	f.write(t, 0.5)
	z := func() float32 {
		if err := f.run.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		return math.Float32frombits(binary.LittleEndian.Uint32(f.read(t)[128:]))
	}
	if first := z(); math.Abs(float64(first)-8*math.E) > 1e-4 {
		t.Errorf("with k = 0, z is %v, want 8e", first)
	}
	if second := z(); second < 22 {
		t.Errorf("with k = xᵀx, z is %v, want more", second)
	}
}

// TestSharedNext checks that states whose next values are one and the same all
// take it.
func TestSharedNext(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	be, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	b := op.NewBuilder(table)
	x := b.Graph.AddInput("x", ir.T(ir.F32, 2), ir.Pos{})
	one := b.Graph.AddState(ir.State{Path: "one", Kind: ir.Gradient}, ir.T(ir.F32, 2))
	two := b.Graph.AddState(ir.State{Path: "two", Kind: ir.Gradient}, ir.T(ir.F32, 2))
	old := b.Add(one.Read, two.Read)
	one.Next, two.Next = b.Exp(x), b.Exp(x) // equal nodes become one
	b.Graph.Outputs = []ir.Output{{Name: "old", Value: old}}
	p, err := compiler.Optimize(b.Graph, table, compiler.Options{Entry: plan.Entry{Name: "test"}, Target: be})
	if err != nil {
		t.Fatal(err)
	}
	made, err := p.Plan(map[string]int{})
	if err != nil {
		t.Fatal(err)
	}
	store := NewStore(be)
	arena, err := be.Alloc(made.WorkBytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Bind(be, made, store, arena); err == nil {
		t.Fatal("bound to states that are not there")
	}
	if err := store.Reserve(made.States); err != nil {
		t.Fatal(err)
	}
	s, err := Bind(be, made, store, arena)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []float32{0, 2} { // exp(0) + exp(0)
		if err := errors.Join(s.Write("x", make([]byte, 8)), s.Run(context.Background())); err != nil {
			t.Fatal(err)
		}
		var out [8]byte
		if err := s.Read("old", out[:]); err != nil {
			t.Fatal(err)
		}
		if got := math.Float32frombits(binary.LittleEndian.Uint32(out[4:])); got != want {
			t.Errorf("the states add up to %v, want %v", got, want)
		}
	}
	if err := errors.Join(store.Free(), arena.Free()); err != nil {
		t.Error(err)
	}
}

// TestPoison checks that freed memory may be overwritten, and that a plan that
// frees too early is caught.
func TestPoison(t *testing.T) {
	f := newFixture(t)
	f.write(t, 0.5)
	if err := f.run.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := f.read(t)
	again := newFixture(t)
	again.write(t, 0.5)
	if err := again.run.RunPoisoned(context.Background(), again.arena); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.read(t), want) {
		t.Error("the plan frees memory that it needs")
	}
	early := 0
	for i := range f.plan.Steps { // free each block a step too early
		if i == 0 || len(f.plan.Steps[i].Frees) == 0 {
			continue
		}
		bad := newFixture(t)
		for _, at := range bad.plan.Steps[i].Frees {
			if at.Offset != bad.plan.Steps[i].Scratch.Offset || bad.plan.Steps[i].Scratch.State == plan.None {
				bad.plan.Steps[i-1].Frees = append(bad.plan.Steps[i-1].Frees, at)
			}
		}
		bad.write(t, 0.5)
		if err := bad.run.RunPoisoned(context.Background(), bad.arena); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bad.read(t), want) {
			early++
		}
	}
	if early == 0 {
		t.Error("memory that is freed too early goes unnoticed")
	}
}

// TestTrace checks that the first step with NaN is named, with its line.
func TestTrace(t *testing.T) {
	f := newFixture(t)
	f.write(t, float32(math.Inf(1)))
	var nan *NaNError
	if err := f.run.Trace(context.Background()); !errors.As(err, &nan) || !strings.HasPrefix(err.Error(), "f.cue:3:5: h: ") {
		t.Errorf("got %v, want a NaNError at f.cue:3:5", err)
	}
	f.write(t, 1)
	if err := newFixture(t).run.Trace(context.Background()); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

// TestMistakes checks that wrong uses are errors that name the fact.
func TestMistakes(t *testing.T) {
	f := newFixture(t)
	for want, err := range map[string]error{
		`has no input "q"`:              f.run.Write("q", nil),
		"input x has 3 bytes, want 128": f.run.Write("x", make([]byte, 3)),
		`has no output "q"`:             f.run.Read("q", nil),
		"output z has 16 bytes, want 1": f.run.Read("z", make([]byte, 1)),
		"work arena of":                 second(Bind(f.be, f.plan, f.store, nil)),
		"state k was not loaded":        second(Bind(f.be, f.plan, NewStore(f.be), f.arena)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.run.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was cancelled gives %v", err)
	}
}

func second(_ *Session, err error) error { return err }
