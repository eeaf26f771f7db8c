package quantize

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/gguf"
	"pipe.dev/kernels/quant"
)

const golden = "../../testdata/golden/"

// written writes a model and gives the file.
func written(t *testing.T, in string, o Options) (*Report, string) {
	t.Helper()
	s, err := Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if o.Out == "" {
		o.Out = filepath.Join(t.TempDir(), "out.gguf")
	}
	r, err := Run(context.Background(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r, o.Out
}

// contents are the types and data of the tensors of a file.
func contents(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := gguf.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]string{}
	for _, x := range f.Tensors {
		data, err := f.View(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		out[x.Name] = x.Type.String() + " " + string(data)
	}
	return out
}

// A folder becomes what the gguf package makes of it: every tensor bit for
// bit, the order of rows and the factors of frequencies among it, and the
// metadata that it has.
func TestFolder(t *testing.T) {
	for name, kind := range map[string]string{"llama_f16": "f16", "llama31": "f32", "qwen2_bf16": "bf16"} {
		t.Run(name, func(t *testing.T) {
			r, out := written(t, golden+"arch/"+name, Options{Type: kind})
			have, want := contents(t, out), contents(t, golden+"gguf/"+name+".gguf")
			if len(have) != len(want) {
				t.Errorf("%d tensors, want %d", len(have), len(want))
			}
			for n, data := range want {
				if have[n] != data {
					t.Errorf("%s differs", n)
				}
			}
			if r.Relative != 0 || r.Before == 0 {
				t.Errorf("%+v", r)
			}
			f, err := gguf.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			g, err := gguf.Open(golden + "gguf/" + name + ".gguf")
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			for _, p := range g.Metadata {
				if !strings.HasPrefix(p.Key, "tokenizer.") && f.Value(p.Key) != p.Value {
					t.Errorf("%s is %v, want %v", p.Key, f.Value(p.Key), p.Value)
				}
			}
		})
	}
}

// A file written anew has the blocks of package quant, the report their loss,
// whatever the number of threads; what is in blocks of the same type stays.
func TestBlocks(t *testing.T) {
	in := golden + "gguf/blocks.gguf"
	o := Options{Type: "q4_0", Layers: []Layer{{"output.weight", "q5_1"}, {"model.layers.*.v_proj.weight", "f16"}, {"blk.1.attn_v*", "q8_0"}}, Threads: 1}
	r, out := written(t, in, o)
	o.Threads = 5
	again, other := written(t, in, o)
	a, _ := os.ReadFile(out)
	b, _ := os.ReadFile(other)
	if !bytes.Equal(a, b) || len(a) == 0 || r.Relative != again.Relative {
		t.Error("threads change a file")
	}
	if r.File != int64(len(a)) {
		t.Errorf("file has %d bytes, reported %d", len(a), r.File)
	}
	was, is := decoded(t, in), decoded(t, out)
	var squares, total float64
	for _, x := range r.Tensors {
		want := "q4_0"
		switch {
		case len(x.Shape) == 1:
			want = "f32"
		case x.Name == "output.weight":
			want = "q5_1"
		case x.Name == "blk.0.attn_v.weight":
			want = "f16"
		case x.Name == "blk.1.attn_v.weight":
			want = "q8_0"
		}
		if x.Type != want {
			t.Errorf("%s is %s, want %s", x.Name, x.Type, want)
		}
		l, err := quant.Measure(was[x.Name], is[x.Name])
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(l.Relative-x.Relative) > 1e-9 || math.Abs(l.Greatest-x.Greatest) > 1e-9 {
			t.Errorf("%s loses %g and %g, reported %g and %g", x.Name, l.Relative, l.Greatest, x.Relative, x.Greatest)
		}
		for i, v := range was[x.Name] {
			d := float64(v) - float64(is[x.Name][i])
			squares, total = squares+d*d, total+float64(v)*float64(v)
		}
	}
	if all := math.Sqrt(squares / total); math.Abs(all-r.Relative) > 1e-9 || all == 0 {
		t.Errorf("all lose %g, reported %g", all, r.Relative)
	}
	if a, b := contents(t, in), contents(t, out); a["blk.0.attn_q.weight"] != b["blk.0.attn_q.weight"] || !strings.HasPrefix(a["blk.0.attn_q.weight"], "q4_0 ") {
		t.Error("blocks of the same type changed")
	}
}

// decoded are the values of the tensors of a file.
func decoded(t *testing.T, name string) map[string][]float32 {
	t.Helper()
	out := map[string][]float32{}
	for n, x := range contents(t, name) {
		kind, data, _ := strings.Cut(x, " ")
		read, err := decoder(typeOf(t, kind))
		if err != nil {
			t.Fatal(err)
		}
		elems, size := typeOf(t, kind).Block()
		v := make([]float32, len(data)/size*elems)
		if err := read(v, []byte(data)); err != nil {
			t.Fatal(err)
		}
		out[n] = v
	}
	return out
}

// What can't be written is told in a line, and leaves no file.
func TestRefusals(t *testing.T) {
	arch := golden + "arch/llama"
	for want, o := range map[string]Options{
		"tensor output.weight: rows of 48 weights are no whole blocks of 256, as q4_k wants: give it another type (--layer 'output.weight=f16')": {Type: "q4_k"},
		"rows of 48 weights are no whole blocks of 32, as the fallback q8_0 wants: choose f16":                                                   {Type: "q4_k", Fallback: "q8_0"},
		"--layer nothing=f16: no tensor of the model matches":                                                                                    {Type: "f16", Layers: []Layer{{"nothing", "f16"}}},
		"no such file or folder":              {Type: "f16", Out: filepath.Join(t.TempDir(), "none", "x.gguf")},
		"exists already; --force replaces it": {Type: "f16", Out: existing(t)},
	} {
		s, err := Open(arch)
		if err != nil {
			t.Fatal(err)
		}
		if o.Out == "" {
			o.Out = filepath.Join(t.TempDir(), "out.gguf")
		}
		before, _ := filepath.Glob(filepath.Join(filepath.Dir(o.Out), "*"))
		_, err = Run(context.Background(), s, o)
		s.Close()
		want = strings.TrimSuffix(want, ")")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v\nwant %s", err, want)
		}
		if after, _ := filepath.Glob(filepath.Join(filepath.Dir(o.Out), "*")); !slices.Equal(before, after) {
			t.Errorf("%s: leaves %v", want, after)
		}
	}
}

// An interruption, and a weight that is not finite, leave no file either.
func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(golden + "arch/llama")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	o := Options{Type: "f16", Out: filepath.Join(dir, "out.gguf"), Progress: func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	}}
	if _, err := Run(ctx, s, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want an interruption", err)
	}
	bad := &Source{close: func() error { return nil }, items: []item{{name: "a", path: "a", from: "f32", bytes: 256, shape: []int64{2, 32},
		open: func() (func([]float32, int64) error, func(), error) {
			return func(dst []float32, row int64) error { dst[5] = float32(math.NaN()); return nil }, func() {}, nil
		}}}}
	for _, kind := range []string{"f32", "q8_0"} {
		o = Options{Type: kind, Out: filepath.Join(dir, "out.gguf")}
		if _, err := Run(context.Background(), bad, o); err == nil || !strings.HasPrefix(err.Error(), "a: ") {
			t.Errorf("%v, want NaN", err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("leaves %v", left)
	}
}

// A weight is drawn the same by whoever draws it, and rows of heads lie in
// pairs.
func TestPairs(t *testing.T) {
	it := item{shape: []int64{12, 1}, heads: 2}
	var rows []int64
	for r := range int64(12) {
		rows = append(rows, it.sourceRow(r, 12))
	}
	if want := []int64{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}; !slices.Equal(rows, want) {
		t.Errorf("%v, want %v", rows, want)
	}
}

func existing(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "out.gguf")
	if err := os.WriteFile(name, binary.LittleEndian.AppendUint32(nil, 1), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func typeOf(t *testing.T, kind string) ir.DType {
	t.Helper()
	g, ok := gguf.TypeOf(kind)
	if !ok || g.DType() == ir.Invalid {
		t.Fatalf("there is no type %s", kind)
	}
	return g.DType()
}
