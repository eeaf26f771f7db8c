package model

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// TestRecurrent holds layers that go through a sequence step by step against
// PyTorch (testdata/golden/recurrent.py).
func TestRecurrent(t *testing.T) {
	dir := filepath.Join(golden, "recurrent")
	want := tensortest.Read(t, filepath.Join(dir, "expected.safetensors"))
	got := callModel(t, dir, map[string]tensorfile.Tensor{"x": want["x"]}, []string{"both", "h", "c", "logits", "last"})
	if len(got) != 5 {
		t.Fatalf("%d outputs, want 5", len(got))
	}
	for _, have := range got {
		w := want[have.Name]
		if !slices.Equal(have.Type.Sizes(), w.Type.Sizes()) {
			t.Fatalf("%s is %v, want %v", have.Name, have.Type, w.Type)
		}
		for i, x := range w.Float64s() {
			if y := have.Float64s()[i]; math.Abs(x-y) > 1e-6 {
				t.Fatalf("%s[%d] is %v, want %v", have.Name, i, y, x)
			}
		}
	}
}
