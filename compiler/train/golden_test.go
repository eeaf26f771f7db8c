package train_test

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

const golden = "../../testdata/golden/train"

// fixture is one safetensors file of testdata/golden/train.
type fixture struct {
	Name   string
	Attr   map[string]any
	Norms  map[string]float64
	types  map[string]ir.Type
	values map[string][]float64
}

func readFixture(t *testing.T, path string) fixture {
	t.Helper()
	f := fixture{types: map[string]ir.Type{}, values: map[string][]float64{}}
	tensors, err := tensorfile.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tensors {
		f.types[x.Name], f.values[x.Name] = x.Type, x.Float64s()
	}
	c, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d := json.NewDecoder(strings.NewReader(c.Metadata()["case"]))
	d.UseNumber()
	if err := d.Decode(&f); err != nil {
		t.Fatal(err)
	}
	return f
}

// each runs check on every file of a folder, which must hold at least n.
func each(t *testing.T, folder string, n int, check func(t *testing.T, f fixture)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(golden, folder, "*.safetensors"))
	if err != nil || len(files) < n {
		t.Fatalf("%d fixtures in %s, want at least %d: %v", len(files), folder, n, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".safetensors"), func(t *testing.T) {
			check(t, readFixture(t, file))
		})
	}
}

func newOps(t testing.TB) *op.Table {
	t.Helper()
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// near compares relative to max(1, |want|).
func near(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d elements, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tol*math.Max(1, math.Abs(want[i]))) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, got[i], want[i])
		}
	}
}
