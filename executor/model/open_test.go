package model

import (
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

// folders are the models in testdata/golden/arch, made by transformers.
func folders(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("../../testdata/golden/arch/*/config.json")
	if err != nil || len(list) == 0 {
		t.Fatalf("no models in testdata/golden/arch: %v", err)
	}
	for i, f := range list {
		list[i] = filepath.Dir(f)
	}
	return list
}

// open opens a model on a CPU backend of its own.
func open(t testing.TB, dir string, threads int, tier string) (*Model, *cpu.Backend) {
	t.Helper()
	return openAdapted(t, dir, "", threads, tier)
}

// openAdapted opens a model with an adapter.
func openAdapted(t testing.TB, dir, with string, threads int, tier string) (*Model, *cpu.Backend) {
	t.Helper()
	return openAs(t, Options{Dir: dir, Adapter: with, Scale: 1}, threads, tier)
}

// openAs opens a model as o says, on a backend of its own.
func openAs(t testing.TB, o Options, threads int, tier string) (*Model, *cpu.Backend) {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: threads, Tier: tier})
	if err != nil {
		t.Skip(err) // a tier that this machine lacks
	}
	o.Name, o.Backend, o.Compile = "models.test", be, compiled(t, be)
	m, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if n := be.Allocated(); n != 0 {
			t.Errorf("%d bytes are still allocated", n)
		}
		be.Close()
	})
	return m, be
}

// compiled makes programs for a backend.
func compiled(t testing.TB, be *cpu.Backend) Compile {
	t.Helper()
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	return func(m *schema.Model, e plan.Entry, w Weights) (Program, error) {
		o := compiler.Options{Entry: e, Target: be, Weight: w.DType, Blocks: w.Blocks, Layout: w.Layout, Pairs: w.Pairs, Precision: w.Precision}
		if a := w.Adapter; a != nil {
			o.Adapter = &compiler.Adapter{Fixed: true, Layer: func(path string) (compiler.AdaptedLayer, bool) {
				l, ok := a.Layer(path)
				return compiler.AdaptedLayer{Rank: l.Rank, Scale: l.Scale, Magnitude: l.Magnitude}, ok
			}}
		}
		return compiler.Compile(m, table, o)
	}
}

// expected reads the reference values of a folder by name.
func expected(t *testing.T, dir string) map[string]tensorfile.Tensor {
	t.Helper()
	return tensortest.Read(t, filepath.Join(dir, "expected.safetensors"))
}

// worst is the largest difference relative to max(1, |want|).
func worst(got, want []float64) float64 {
	var most float64
	for i, w := range want {
		if d := math.Abs(got[i]-w) / math.Max(1, math.Abs(w)); !(d <= most) {
			most = d
		}
	}
	return most
}

// nodesOf lists the values that a folder expects of a run, logits first, and
// the paths of the others' nodes.
func nodesOf(want map[string]tensorfile.Tensor) (names, paths []string) {
	names = []string{"logits"}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		path := name
		switch layer, ok := strings.CutPrefix(name, "hidden."); {
		case name == "ids" || name == "logits" || name == "greedy":
			continue
		case ok:
			path = "model.layers." + layer
		case name == "embedding":
			path = "model.embed_tokens"
		case name == "norm":
			path = "model.norm"
		}
		names, paths = append(names, name), append(paths, path)
	}
	return names, paths
}
