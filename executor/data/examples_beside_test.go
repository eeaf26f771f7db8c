package data

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

// TestBeside puts two examples beside five, in batches and after splitting.
func TestBeside(t *testing.T) {
	open := func(name, text string) *Examples {
		file := filepath.Join(t.TempDir(), name+".csv")
		if err := os.WriteFile(file, []byte(name+"\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
		a := defaults(file)
		a.Format, a.Columns = Columns, map[string][]string{name: {name}}
		e, err := OpenExamples([]Attr{a}, []Field{{Name: name, DType: ir.F32, Width: 1}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	x, y := open("x", "0\n1\n2\n3\n4\n"), open("y", "10\n11\n")
	both, err := x.Beside(y)
	if err != nil {
		t.Fatal(err)
	}
	back, err := y.Beside(x)
	if err != nil {
		t.Fatal(err)
	}
	front, end := both.Split(0.4)
	for i, c := range []struct {
		e    *Examples
		x, y []float32
	}{
		{both, []float32{0, 1, 2, 3, 4}, []float32{10, 11, 10, 11, 10}}, {back, []float32{0, 1, 2, 3, 4}, []float32{10, 11, 10, 11, 10}},
		{front, []float32{0, 1, 2}, []float32{10, 11, 10}}, {end, []float32{3, 4}, []float32{11, 10}},
	} {
		l, err := c.e.Batches(BatchOptions{Batch: c.e.Len(), Order: "file"}, nil, Position{})
		if err != nil {
			t.Fatal(err)
		}
		var b Batch
		if err := l.Next(&b); err != nil || !slices.Equal(floats(b.Values["x"]), c.x) || !slices.Equal(floats(b.Values["y"]), c.y) {
			t.Errorf("%d: %v beside %v, %v", i, floats(b.Values["x"]), floats(b.Values["y"]), err)
		}
		l.Close()
	}
	if both.Identity() == back.Identity() || len(both.Files()) != 2 {
		t.Errorf("%s, %s, %v", both.Identity(), back.Identity(), both.Files())
	}
	a := defaults("x.csv")
	a.Constants = map[string]string{"text": "a"}
	if err := a.Check(); err == nil || !strings.Contains(err.Error(), "constants") {
		t.Errorf("constants of text: %v", err)
	}
}
