package convert

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/gguf"
	"pipe.dev/kernels/half"
)

const golden = "../../testdata/golden/"

func run(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// contents reads all tensors of a checkpoint.
func contents(t *testing.T, path string) map[string]string {
	t.Helper()
	c, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out := map[string]string{}
	for _, x := range c.Tensors() {
		data, err := c.View(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		out[x.Name] = fmt.Sprintf("%s %v %x", x.Raw, x.Shape, data)
	}
	return out
}

func equal(t *testing.T, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: %.200s, want %.200s", name, got[name], w)
		}
	}
}

// Through all formats and back, nothing changes.
func TestEveryFormat(t *testing.T) {
	dir := t.TempDir()
	at := golden + "torch/views_legacy.pt"
	want := contents(t, at)
	for i, out := range []string{"a.safetensors", "b.pt", "c.npz", "folder", "d.bin", "shards", "e.pth"} {
		o := Options{In: at, Out: filepath.Join(dir, out)}
		if out == "shards" {
			o.Shard = 300
		}
		r := run(t, o)
		if r.Tensors != len(want) || r.Changed != 0 || r.Before != r.After || r.DTypes["F32"] != len(want) {
			t.Errorf("%d: %+v", i, r)
		}
		equal(t, contents(t, o.Out), want)
		at = o.Out
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "shards", "model-*")); len(files) < 3 {
		t.Errorf("only %v", files)
	}
}

// Element types that pipe does not compute with go through as well.
func TestEveryDType(t *testing.T) {
	dir := t.TempDir()
	all := golden + "torch/dtypes.pt"
	want := contents(t, all)
	run(t, Options{In: all, Out: filepath.Join(dir, "x.pt")})
	equal(t, contents(t, filepath.Join(dir, "x.pt")), want)
	_, err := Run(t.Context(), Options{In: all, Out: filepath.Join(dir, "x.safetensors")})
	fails(t, err, `tensor "C128": dtype C128 is not one that safetensors has`)
	_, err = Run(t.Context(), Options{In: all, Out: filepath.Join(dir, "x.npz")})
	fails(t, err, `tensor "F8_E4M3": NumPy has no dtype F8_E4M3`)
	_, err = Run(t.Context(), Options{In: all, Out: filepath.Join(dir, "x.gguf")})
	fails(t, err, `GGUF has no dtype`)
}

func fails(t *testing.T, err error, fact string) {
	t.Helper()
	var e *checkpoint.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), fact) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want one line that says %q", err, fact)
	}
}

// Weights are rounded to nearest even; integers stay.
func TestDType(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.safetensors")
	values := []float32{1, -2.5, 1.0 / 3, 65504, 70000, 1e-8, float32(math.Inf(1)), 0x1.01p0}
	var data []byte
	for _, x := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	ids := bytes.Repeat([]byte{7, 0, 0, 0}, 2)
	if err := checkpoint.Write(in, []checkpoint.Data{{Name: "w", Type: ir.T(ir.F32, 2, 4), Bytes: data}, {Name: "ids", Type: ir.T(ir.I32, 2), Bytes: ids}}, map[string]string{"k": "v"}); err != nil {
		t.Fatal(err)
	}
	for d, round := range map[ir.DType]func(float32) uint16{ir.F16: half.F32ToF16, ir.BF16: half.F32ToBF16} {
		out := filepath.Join(dir, d.String()+".safetensors")
		r := run(t, Options{In: in, Out: out, DType: d})
		if r.Changed != 1 || r.After != 16+8 {
			t.Errorf("%+v", r)
		}
		var want []byte
		for _, x := range values {
			want = binary.LittleEndian.AppendUint16(want, round(x))
		}
		equal(t, contents(t, out), map[string]string{"w": fmt.Sprintf("%s [2 4] %x", strings.ToUpper(d.String()), want), "ids": fmt.Sprintf("I32 [2] %x", ids)})
		c, err := checkpoint.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if c.Metadata()["k"] != "v" {
			t.Errorf("metadata %v", c.Metadata())
		}
		c.Close()
	}
}

// Quantised weights become what the reference says they stand for.
func TestQuantised(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"float8", "packed", "grouped"} {
		out, want := filepath.Join(dir, name+".safetensors"), filepath.Join(dir, name+".want.safetensors")
		run(t, Options{In: golden + "quantised/" + name + ".safetensors", Out: out, DType: ir.F32})
		run(t, Options{In: golden + "quantised/" + name + ".expected.safetensors", Out: want, DType: ir.F32})
		got, expected := contents(t, out), contents(t, want)
		for _, n := range []string{"codes_e4m3.weight", "codes_e5m2.weight"} { // NaNs have several bit patterns
			delete(got, n)
			delete(expected, n)
		}
		equal(t, got, expected)
	}
}

// A GGUF file that is written again is the same, byte for byte.
func TestGGUF(t *testing.T) {
	dir := t.TempDir()
	in, out := golden+"gguf/small.gguf", filepath.Join(dir, "x.gguf")
	run(t, Options{In: in, Out: out})
	a, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(out); err != nil || !bytes.Equal(a, b) {
		t.Errorf("%v: %d other bytes than the %d of the source", err, len(b), len(a))
	}
	_, err = Run(t.Context(), Options{In: in, Out: filepath.Join(dir, "x.pt")})
	fails(t, err, `tensor "x.q8_0" is of type q8_0, which only GGUF files have: --dtype f16`)
	dense := filepath.Join(dir, "x.safetensors")
	run(t, Options{In: in, Out: dense, DType: ir.F32})
	back := filepath.Join(dir, "y.gguf")
	run(t, Options{In: dense, Out: back})
	f, err := gguf.Open(back)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if x, ok := f.Lookup("x.q8_0"); !ok || x.Type != gguf.F32 || !slices.Equal(x.Shape, []int64{2, 64}) {
		t.Errorf("%+v", x)
	}
}

func TestUnder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x.safetensors")
	run(t, Options{In: golden + "torch/training.pt", Out: out, Under: "model"})
	if got := contents(t, out); len(got) != 2 || got["weight"] == "" || got["bias"] == "" {
		t.Errorf("%v", got)
	}
	_, err := Run(t.Context(), Options{In: golden + "torch/training.pt", Out: out, Under: "nothing", Force: true})
	fails(t, err, `has no tensor below "nothing"`)
}

// The folder of a model keeps its config and tokenizer; the config says the
// new type, and not how weights were quantised.
func TestFolder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "model")
	run(t, Options{In: golden + "arch/llama_fp8", Out: out, DType: ir.BF16})
	text, err := os.ReadFile(filepath.Join(out, "config.json"))
	if err != nil || !strings.Contains(string(text), `"dtype": "bfloat16"`) || strings.Contains(string(text), "quantization_config") {
		t.Errorf("%v: %s", err, text)
	}
	if got := contents(t, out); len(got) != 21 {
		t.Errorf("%d tensors", len(got))
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	in := golden + "torch/list.pt"
	out := filepath.Join(dir, "x.safetensors")
	if err := os.WriteFile(out, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(filepath.Join(home, "photos"), 0o777); err != nil {
		t.Fatal(err)
	}
	for fact, o := range map[string]Options{
		"exists already; --force replaces it":       {In: in, Out: out},
		`extension ".onnx" is not one of`:           {In: in, Out: filepath.Join(dir, "x.onnx")},
		"is one file; --shard-size is for a folder": {In: in, Out: filepath.Join(dir, "y.pt"), Shard: 5},
		`holds "photos", which belongs to no model`: {In: in, Out: home, Force: true},
		"holds one tensor, not 2: write a .npz":     {In: in, Out: filepath.Join(dir, "x.npy")},
		"no such file or folder":                    {In: filepath.Join(dir, "absent"), Out: filepath.Join(dir, "y.pt")},
		"cannot":                                    {In: in, Out: filepath.Join(out, "y.pt")},
	} {
		_, err := Run(t.Context(), o)
		fails(t, err, fact)
	}
	if text, err := os.ReadFile(out); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
	// What is interrupted leaves what was there, and nothing else.
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Run(ctx, Options{In: golden + "torch/views_legacy.pt", Out: out, Force: true, Progress: func(done, _ int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if text, err := os.ReadFile(out); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("%v is left", left)
	}
}

// A conversion allocates less than its largest tensor has, whatever the format.
func TestMemory(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.safetensors")
	const n = 2 << 20 // elements of each of six tensors, 8 MiB
	var list []checkpoint.Tensor
	for i := range 6 {
		list = append(list, checkpoint.Tensor{Name: fmt.Sprint("w", i), Raw: "F32", DType: ir.F32, Shape: []int{n}, Bytes: 4 * n})
	}
	zeros := make([]byte, 1<<20)
	err := checkpoint.Replace(in, func(w io.Writer) error {
		return checkpoint.StreamTensors(w, list, nil, func(_ checkpoint.Tensor, w io.Writer) error {
			for range 4 * n / len(zeros) {
				if _, err := w.Write(zeros); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{"x.safetensors", "x.pt", "x.npz", "x.gguf", "folder"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run(t, Options{In: in, Out: filepath.Join(dir, out), DType: ir.F16})
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 4*n {
			t.Errorf("%s: %d bytes were allocated, of tensors of %d", out, got, 4*n)
		}
		os.RemoveAll(filepath.Join(dir, out))
	}
}
