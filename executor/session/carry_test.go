package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/kernels/cpu"
)

// TestCarry checks that states which take each other's old values, in rings,
// in rows and several from one, all get what was there when the run began, and
// that outputs are old values where they should be.
func TestCarry(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	be, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	const states, runs = 6, 3
	random := rand.New(rand.NewPCG(1, 2))
	for try := range 200 {
		b := op.NewBuilder(table)
		x := b.Graph.AddInput("x", ir.T(ir.F32), ir.Pos{})
		var list []*ir.State
		var next [states]int // whose old value each takes; its own plus x, of index states; none of states+1
		for i := range states {
			list = append(list, b.Graph.AddState(ir.State{Path: fmt.Sprint("s", i), Kind: ir.Moment}, ir.T(ir.F32)))
			next[i] = random.IntN(states + 2)
		}
		if try == 0 {
			next = [states]int{1, 0, 3, 4, 2, 2} // a pair, and a ring of three that one more reads
		}
		for i, s := range list {
			switch n := next[i]; {
			case n < states:
				s.Next = list[n].Read
			case n == states:
				s.Next = b.Add(s.Read, x)
			}
			b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: s.Path, Value: s.Read})
		}
		p, err := compiler.Optimize(b.Graph, table, compiler.Options{Entry: plan.Entry{Name: "test"}, Target: be})
		if err != nil {
			t.Fatal(err)
		}
		made, err := p.Plan(nil)
		if err != nil {
			t.Fatal(err)
		}
		store := NewStore(be)
		arena, err := be.Alloc(made.WorkBytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Reserve(made.States); err != nil {
			t.Fatal(err)
		}
		var want [states]float32
		for i, s := range list {
			want[i] = float32(i)
			if err := store.Write(s.Path, binary.LittleEndian.AppendUint32(nil, math.Float32bits(want[i]))); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Bind(be, made, store, arena)
		if err != nil {
			t.Fatal(err)
		}
		for range runs {
			step := binary.LittleEndian.AppendUint32(nil, math.Float32bits(10))
			if err := errors.Join(s.Write("x", step), s.Run(context.Background())); err != nil {
				t.Fatal(err)
			}
			old := want
			for i := range want {
				var out [4]byte
				if err := s.Read(list[i].Path, out[:]); err != nil {
					t.Fatal(err)
				}
				if got := math.Float32frombits(binary.LittleEndian.Uint32(out[:])); got != old[i] {
					t.Fatalf("states take %v: output %d is %v, want %v\n%v", next, i, got, old[i], made)
				}
				switch n := next[i]; {
				case n < states:
					want[i] = old[n]
				case n == states:
					want[i] = old[i] + 10
				}
			}
		}
		if err := errors.Join(store.Free(), arena.Free()); err != nil {
			t.Error(err)
		}
	}
}
