package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/safetensors"

	"pipe.dev/compiler/ir"
)

// random makes up to 12 tensors of all types and ranks 0 to 3.
func random(r *rand.Rand) ([]Data, map[string]string) {
	var ts []Data
	for i := range r.IntN(12) {
		d := ir.DTypes()[r.IntN(len(ir.DTypes()))]
		var sizes []int
		for range r.IntN(4) {
			sizes = append(sizes, r.IntN(5))
		}
		typ := ir.T(d, sizes...)
		b := make([]byte, typ.Bytes())
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		ts = append(ts, Data{fmt.Sprintf("layers.%d.<%c>\"ü\n", i, 'a'+r.IntN(3)), typ, b})
	}
	meta := map[string]string{}
	for i := range r.IntN(4) {
		meta[fmt.Sprintf("key %d", i)] = fmt.Sprint(r.Uint32())
	}
	return ts, meta
}

func TestWriteRoundTrip(t *testing.T) {
	dir := t.TempDir()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		ts, meta := random(r)
		path := filepath.Join(dir, "w.safetensors")
		if err := Write(path, ts, meta); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Open(path)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !maps.Equal(c.Metadata(), meta) || len(c.Tensors()) != len(ts) {
			t.Fatalf("seed %d: %d tensors and %v, want %d and %v", seed, len(c.Tensors()), c.Metadata(), len(ts), meta)
		}
		for _, want := range ts {
			got, ok := c.Lookup(want.Name)
			if !ok || !got.Type().Equal(want.Type) || !bytes.Equal(view(t, c, want.Name), want.Bytes) {
				t.Fatalf("seed %d: %+v, want %s %v", seed, got, want.Type, want.Bytes)
			}
			if size := int64(want.Type.DType.Size()); got.Offset%size != 0 {
				t.Fatalf("seed %d: %q of %d-byte elements is at %d", seed, got.Name, size, got.Offset)
			}
		}
		c.Close()
		checkSecondOpinion(t, text, ts)
		r.Shuffle(len(ts), func(i, j int) { ts[i], ts[j] = ts[j], ts[i] })
		if err := Write(path, ts, meta); err != nil {
			t.Fatal(err)
		}
		if again, _ := os.ReadFile(path); !bytes.Equal(again, text) {
			t.Fatalf("seed %d: another order of the tensors gives other bytes", seed)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v: temporary files are left", left, err)
	}
}

// checkSecondOpinion reads text with an independent library.
func checkSecondOpinion(t *testing.T, text []byte, want []Data) {
	t.Helper()
	st, err := safetensors.Deserialize(text)
	if err != nil {
		t.Fatalf("the other reader: %v", err)
	}
	if st.Len() != len(want) {
		t.Fatalf("the other reader finds %d tensors, want %d", st.Len(), len(want))
	}
	for _, w := range want {
		v, ok := st.Tensor(w.Name)
		if !ok || !bytes.Equal(v.Data(), w.Bytes) {
			t.Fatalf("the other reader finds %v for %q, want %v", v.Data(), w.Name, w.Bytes)
		}
	}
}

// What an independent library writes is read.
func TestReadsOtherWriter(t *testing.T) {
	views := map[string]safetensors.TensorView{}
	for name, n := range map[string]int{"a": 3, "b": 0, "c": 5} {
		v, err := safetensors.NewTensorView(safetensors.F16, []uint64{uint64(n), 2}, bytes.Repeat([]byte(name), 4*n))
		if err != nil {
			t.Fatal(err)
		}
		views[name] = v
	}
	text, err := safetensors.Serialize(views, map[string]string{"k": "v"})
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, filepath.Join(folder(t, map[string]string{"x.safetensors": string(text)}), "x.safetensors"))
	for name, v := range views {
		d, _ := c.Lookup(name)
		if d.DType != ir.F16 || !bytes.Equal(view(t, c, name), v.Data()) || len(d.Shape) != 2 || uint64(d.Shape[0]) != v.Shape()[0] {
			t.Errorf("%s: %+v, want %v", name, d, v)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	f32 := func(name string, n int) Data { return Data{name, ir.T(ir.F32, n), make([]byte, 4*n)} }
	path := filepath.Join(t.TempDir(), "w.safetensors")
	for _, c := range []struct {
		ts   []Data
		meta map[string]string
		fact string
	}{
		{[]Data{f32("a", 1), f32("a", 2)}, nil, `tensor "a" is there twice`},
		{[]Data{{"a", ir.T(ir.F32, 2), make([]byte, 7)}}, nil, "type f32[2] takes 8 bytes, but it has 7"},
		{[]Data{{"a", ir.T(ir.Invalid, 2), nil}}, nil, "dtype invalid cannot be written"},
		{[]Data{{"a", ir.Type{DType: ir.F32, Shape: []ir.Dim{ir.Sym("batch")}}, nil}}, nil, "has sizes that are not numbers"},
		{[]Data{{"a", ir.T(ir.F32, -1), nil}}, nil, "has a negative size"},
		{[]Data{{"a", ir.T(ir.F32, math.MaxInt, math.MaxInt), nil}}, nil, "more bytes than can be counted"},
		{[]Data{f32("__metadata__", 1)}, nil, "the name cannot be used"},
		{[]Data{f32("\xff", 1)}, nil, "the name cannot be used"},
		{nil, map[string]string{"k": "\xff"}, `metadata "k" is not UTF-8`},
	} {
		checkError(t, Write(path, c.ts, c.meta), path, c.fact)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("files are left: %v", left)
	}
}

// A write that fails leaves the earlier file, and nothing else.
func TestReplaceIsAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "w")
	put := func(text string, err error) error {
		return Replace(path, func(w io.Writer) error {
			io.WriteString(w, text)
			return err
		})
	}
	if err := put("first", nil); err != nil {
		t.Fatal(err)
	}
	checkError(t, put(strings.Repeat("second", 1<<20), errors.New("disk on fire")), path, "disk on fire")
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "first" {
		t.Errorf("%q, %v, want the first text", text, err)
	}
	if err := put("third", nil); err != nil {
		t.Fatal(err)
	}
	if text, _ = os.ReadFile(path); string(text) != "third" {
		t.Errorf("%q, want the third text", text)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files are left: %v", left)
	}
	into := filepath.Join(dir, "absent", "w")
	checkError(t, Replace(into, func(io.Writer) error { return nil }), into, "no such file or folder")
	checkError(t, Replace(dir, func(io.Writer) error { return nil }), dir, "cannot put the new file in place")
}

// A checkpoint that is open when its file is replaced keeps its data.
func TestOpenSurvivesReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	for _, b := range []byte{1, 2} {
		if err := Write(path, []Data{{"a", ir.T(ir.U8, 4), bytes.Repeat([]byte{b}, 4)}}, nil); err != nil {
			t.Fatal(err)
		}
		c := open(t, path)
		defer func() {
			if got := view(t, c, "a"); !slices.Equal(got, bytes.Repeat([]byte{b}, 4)) {
				t.Errorf("%v, want all %d", got, b)
			}
		}()
	}
}
