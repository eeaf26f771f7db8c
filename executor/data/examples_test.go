package data

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
)

// tenExamples are x = 0..9 and the class x mod 3, as a table and as arrays.
func tenExamples(t *testing.T, kind string) *Examples {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "ten."+kind)
	a := Attr{Files: []string{path}, Kind: "auto", Format: Columns, Columns: map[string][]string{"x": {"x"}, "class": {"class"}},
		Document: "file", Layout: "headings", OnError: "stop", Weight: 1}
	if kind == "csv" {
		text := "x,class\n"
		for i := range 10 {
			text += string(rune('0'+i)) + "," + string(rune('0'+i%3)) + "\n"
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	} else {
		var x, class []byte
		for i := range 10 {
			x = binary.LittleEndian.AppendUint32(x, math.Float32bits(float32(i)))
			class = binary.LittleEndian.AppendUint32(class, uint32(i%3))
		}
		err := tensorfile.Write(path, []tensorfile.Tensor{{Name: "x", Type: ir.T(ir.F32, 10, 1), Data: x}, {Name: "class", Type: ir.T(ir.I32, 10), Data: class}})
		if err != nil {
			t.Fatal(err)
		}
	}
	e, err := OpenExamples([]Attr{a}, []Field{{Name: "x", DType: ir.F32, Width: 1}, {Name: "class", DType: ir.I32, Width: 1}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// drawn are the x of the next batches, whose classes must belong to them.
func drawn(t *testing.T, l *ExampleLoader, batches int) []float64 {
	t.Helper()
	var out []float64
	var b Batch
	for range batches {
		if err := l.Next(&b); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		for row := range b.Rows {
			x := (&Field{Name: "x", DType: ir.F32, Width: 1}).values(b.Values["x"], row)[0]
			if class := (&Field{Name: "class", DType: ir.I32, Width: 1}).values(b.Values["class"], row)[0]; class != math.Mod(x, 3) {
				t.Fatalf("x %v came with class %v", x, class)
			}
			out = append(out, x)
		}
	}
	return out
}

// Every epoch of a shuffle has every example once, each in an order of its own,
// whatever file they came from; the file's order stays; an end has what is left.
func TestExampleOrder(t *testing.T) {
	all := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, kind := range []string{"csv", "npz"} {
		e := tenExamples(t, kind)
		batches := func(o BatchOptions, n int) []float64 {
			l, err := e.Batches(o, nil, Position{})
			if err != nil {
				t.Fatal(err)
			}
			return drawn(t, l, n)
		}
		two := batches(BatchOptions{Batch: 4, Order: "shuffle", Seed: 3}, 5)
		for i, epoch := range [][]float64{two[:10], two[10:]} {
			if slices.Equal(epoch, all) || !slices.Equal(slices.Sorted(slices.Values(epoch)), all) {
				t.Errorf("%s: epoch %d is %v", kind, i, epoch)
			}
		}
		if slices.Equal(two[:10], two[10:]) || slices.Equal(two, batches(BatchOptions{Batch: 4, Order: "shuffle", Seed: 4}, 5)) {
			t.Errorf("%s: two epochs, or two seeds, have the same order: %v", kind, two)
		}
		if have := batches(BatchOptions{Batch: 4, Order: "file", Epochs: 1}, 9); !slices.Equal(have, all) {
			t.Errorf("%s: in the file's order they are %v", kind, have)
		}
	}
	front, back := tenExamples(t, "csv").Split(0.3)
	if front.Len() != 7 || back.Len() != 3 {
		t.Errorf("%d and %d examples of 10, want 7 and 3", front.Len(), back.Len())
	}
	l, err := back.Batches(BatchOptions{Batch: 2, Order: "file", Epochs: 1}, nil, Position{})
	if err != nil {
		t.Fatal(err)
	}
	if have := drawn(t, l, 9); !slices.Equal(have, all[7:]) {
		t.Errorf("what is kept for validation is %v", have)
	}
}

// A loader goes on from a position, through JSON, with the batches and the
// random numbers that would have come; these have their distributions.
func TestExamplePosition(t *testing.T) {
	e := tenExamples(t, "csv")
	o := BatchOptions{Batch: 3, Order: "shuffle", Seed: 5}
	random := []Random{
		{Field{Name: "noise", DType: ir.F32, Width: 40}, RandomAttr{Kind: "normal"}}, {Field{Name: "u", DType: ir.F32, Width: 40}, RandomAttr{Kind: "uniform", Low: -2, High: 3}},
		{Field{Name: "t", DType: ir.I32, Width: 40}, RandomAttr{Kind: "integer", Low: 4, High: 7}}}
	whole, err := e.Batches(o, random, Position{})
	if err != nil {
		t.Fatal(err)
	}
	var b, c Batch
	sums, seen := map[string]float64{}, map[float64]int{}
	const batches = 60
	for i := range batches {
		at, err := json.Marshal(whole.Position())
		if err != nil {
			t.Fatal(err)
		}
		if err := whole.Next(&b); err != nil {
			t.Fatal(err)
		}
		var from Position
		if err := json.Unmarshal(at, &from); err != nil {
			t.Fatal(err)
		}
		again, err := e.Batches(o, random, from)
		if err == nil {
			err = again.Next(&c)
		}
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range b.Values {
			if !slices.Equal(data, c.Values[name]) {
				t.Fatalf("batch %d: %s differs after going on", i, name)
			}
		}
		for row := range b.Rows {
			for _, x := range random[0].values(b.Values["noise"], row) {
				sums["noise"] += x
				sums["noise²"] += x * x
			}
			for _, x := range random[1].values(b.Values["u"], row) {
				if sums["u"] += x; x < -2 || x >= 3 {
					t.Fatalf("uniform gave %v", x)
				}
			}
			for _, x := range random[2].values(b.Values["t"], row) {
				seen[x]++
			}
		}
	}
	n := float64(batches * 3 * 40) // 7,200 numbers: a mean is off by a deviation over 85
	if m, v, u := sums["noise"]/n, sums["noise²"]/n, sums["u"]/n; math.Abs(m) > 0.06 || math.Abs(v-1) > 0.09 || math.Abs(u-0.5) > 0.09 {
		t.Errorf("normal has mean %v and square %v, uniform has mean %v", m, v, u)
	}
	if len(seen) != 3 || min(seen[4], seen[5], seen[6]) < 2100 {
		t.Errorf("integers are %v", seen)
	}
	if _, err := e.Batches(BatchOptions{Batch: 3, Order: "shuffle", Seed: 6}, random, whole.Position()); err == nil {
		t.Error("a position of another seed is taken")
	}
}
