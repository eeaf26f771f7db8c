package checkpoint

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/half"
)

// numbers reads little-endian elements as float64.
func numbers(t *testing.T, d ir.DType, b []byte) []float64 {
	t.Helper()
	le := binary.LittleEndian
	read := map[ir.DType]func(b []byte) float64{
		ir.F64:  func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) },
		ir.F32:  func(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) },
		ir.F16:  func(b []byte) float64 { return float64(half.F16ToF32(le.Uint16(b))) },
		ir.BF16: func(b []byte) float64 { return float64(half.BF16ToF32(le.Uint16(b))) },
		ir.I64:  func(b []byte) float64 { return float64(int64(le.Uint64(b))) },
		ir.I32:  func(b []byte) float64 { return float64(int32(le.Uint32(b))) },
		ir.I8:   func(b []byte) float64 { return float64(int8(b[0])) },
		ir.U8:   func(b []byte) float64 { return float64(b[0]) },
		ir.Bool: func(b []byte) float64 { return float64(b[0]) },
	}[d]
	if read == nil {
		t.Fatalf("no numbers of dtype %s", d)
	}
	out := []float64{}
	for chunk := range slices.Chunk(b, d.Size()) {
		out = append(out, read(chunk))
	}
	return out
}

func open(t *testing.T, path string) *Checkpoint {
	t.Helper()
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func view(t *testing.T, c *Checkpoint, name string) []byte {
	t.Helper()
	b, err := c.View(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The values that the reference implementation wrote, of every element type.
func TestReadsReferenceFile(t *testing.T) {
	text, err := os.ReadFile("testdata/want.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Shape  []int
		Values []float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	c := open(t, "testdata/all.safetensors")
	for name, w := range want {
		d, ok := c.Lookup(name)
		if !ok {
			t.Errorf("%s: not found", name)
			continue
		}
		if !slices.Equal(d.Shape, w.Shape) || d.File != "testdata/all.safetensors" {
			t.Errorf("%s: shape %v in %s, want %v", name, d.Shape, d.File, w.Shape)
		}
		if got := numbers(t, d.DType, view(t, c, name)); !slices.Equal(got, w.Values) {
			t.Errorf("%s: %v, want %v", name, got, w.Values)
		}
	}
	for name, raw := range map[string]string{"i16": "I16", "u16": "U16", "u32": "U32", "u64": "U64", "f8_e4m3": "F8_E4M3", "f8_e5m2": "F8_E5M2"} {
		d, ok := c.Lookup(name)
		if !ok || d.DType != ir.Invalid || d.Raw != raw {
			t.Errorf("%s: %+v, want raw dtype %s and no dtype", name, d, raw)
		}
		if len(view(t, c, name)) != int(d.Bytes) {
			t.Errorf("%s: view is not %d bytes", name, d.Bytes)
		}
	}
	if got := len(c.Tensors()); got != len(want)+6 {
		t.Errorf("%d tensors, want %d", got, len(want)+6)
	}
	if got := c.Metadata()["note"]; got != `a "quoted" ü` {
		t.Errorf("metadata %q", got)
	}
}

func TestReadsShards(t *testing.T) {
	for _, path := range []string{"testdata/sharded", "testdata/sharded/model.safetensors.index.json"} {
		c := open(t, path)
		var got []string
		for _, d := range c.Tensors() {
			got = append(got, d.Name)
		}
		want := []string{"model.layers.0.w.weight", "model.layers.2.w.weight", "model.layers.10.w.weight", "model.norm.weight"}
		if !slices.Equal(got, want) {
			t.Errorf("%s: names %v, want %v", path, got, want)
		}
		if got := numbers(t, ir.F32, view(t, c, want[2])); !slices.Equal(got, []float64{10, 10, 10, 10}) {
			t.Errorf("%s: %v", path, got)
		}
		if c.Metadata()["format"] != "pt" || c.Path() != path {
			t.Errorf("%s: metadata %v, path %s", path, c.Metadata(), c.Path())
		}
	}
}

// Where files cannot be mapped, views are read; they must be the same.
func TestFileReaderEqualsMapping(t *testing.T) {
	c := open(t, "testdata/all.safetensors")
	f, err := os.Open("testdata/all.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	r := newFileReader(f)
	for _, d := range c.Tensors() {
		got, err := r.view(d.Offset, d.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		r.release(d.Offset, d.Bytes)
		again, err := r.view(d.Offset, d.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if want := view(t, c, d.Name); !slices.Equal(got, want) || !slices.Equal(again, want) {
			t.Errorf("%s: %v and %v, want %v", d.Name, got, again, want)
		}
	}
	if _, err := r.view(1<<40, 8); err == nil {
		t.Error("view beyond the end succeeded")
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func TestReleaseKeepsViews(t *testing.T) {
	path := filepath.Join(t.TempDir(), "big.safetensors")
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i >> 8)
	}
	if err := Write(path, []Data{{"a", ir.T(ir.U8, 1), []byte{7}}, {"b", ir.T(ir.F32, 1<<18), data}}, nil); err != nil {
		t.Fatal(err)
	}
	c := open(t, path)
	b := view(t, c, "b")
	if !slices.Equal(b, data) {
		t.Fatal("data differ before Release")
	}
	c.Release("b")
	c.Release("a") // smaller than a page
	c.Release("no such tensor")
	if !slices.Equal(b, data) || view(t, c, "a")[0] != 7 {
		t.Fatal("data differ after Release")
	}
}

func TestClose(t *testing.T) {
	c := open(t, "testdata/all.safetensors")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatalf("second Close: %v", err)
	}
	c.Release("f32")
	if _, err := c.View("f32"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("View after Close: %v", err)
	}
}

func TestViewSuggests(t *testing.T) {
	c := open(t, "testdata/sharded")
	_, err := c.View("model.norm.wieght")
	want := `testdata/sharded: has no tensor "model.norm.wieght"; did you mean "model.norm.weight"?`
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestNaturalOrder(t *testing.T) {
	sorted := []string{"", "a", "a.02", "a.2", "a.2.b", "a.10", "a.10.b", "a10", "b", "b18446744073709551616", "b18446744073709551617"}
	for i, a := range sorted {
		for j, b := range sorted {
			got := naturalCompare(a, b)
			if want := cmp.Compare(i, j); got != want {
				t.Errorf("naturalCompare(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

// sharedData returns a path under the data folder beside the repository, or
// skips the test.
func sharedData(t *testing.T, path string) string {
	t.Helper()
	root := os.Getenv("PIPE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	full := filepath.Join(root, path)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("no shared data: %v (set PIPE_DATA)", err)
	}
	return full
}

func TestReadsRealModel(t *testing.T) {
	c := open(t, sharedData(t, "llm/stories260K"))
	if n := len(c.Tensors()); n != 47 {
		t.Errorf("%d tensors, want 47", n)
	}
	var total int64
	for _, d := range c.Tensors() {
		total += d.Bytes
		if i := FirstNaN(d.DType, view(t, c, d.Name)); i >= 0 {
			t.Errorf("%s: element %d is not finite", d.Name, i)
		}
		c.Release(d.Name)
	}
	e, ok := c.Lookup("model.embed_tokens.weight")
	if !ok || !slices.Equal(e.Shape, []int{512, 64}) || e.DType != ir.F32 || c.Metadata()["format"] != "pt" {
		t.Errorf("embedding %+v", e)
	}
	if total != 1_040_128 {
		t.Errorf("%d bytes of weights, want 1040128", total)
	}
	for _, other := range []string{"audio/silero_vad_16k.safetensors", "image/taef2_decoder.safetensors", "image/yichizz_ddpm_mnist_starter.safetensors"} {
		if n := len(open(t, sharedData(t, other)).Tensors()); n == 0 {
			t.Errorf("%s: no tensors", other)
		}
	}
}
