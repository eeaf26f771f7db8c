package tensorfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
)

// Every file that NumPy and safetensors wrote reads as the values they had.
func TestReadsReferenceFiles(t *testing.T) {
	text, err := os.ReadFile("testdata/want.json")
	if err != nil {
		t.Fatal(err)
	}
	var files map[string][]struct {
		Name, DType string
		Shape       []int
		Values      []float64
	}
	if err := json.Unmarshal(text, &files); err != nil {
		t.Fatal(err)
	}
	for file, want := range files {
		t.Run(file, func(t *testing.T) {
			got, err := Read(filepath.Join("testdata/good", file))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d tensors, want %d", len(got), len(want))
			}
			for i, w := range want {
				d, err := ir.ParseDType(w.DType)
				if err != nil {
					t.Fatal(err)
				}
				if g := got[i]; g.Name != w.Name || !g.Type.Equal(ir.T(d, w.Shape...)) || !slices.Equal(g.Float64s(), w.Values) {
					t.Errorf("%s %s %v, want %s %s%v %v", g.Name, g.Type, g.Float64s(), w.Name, w.DType, w.Shape, w.Values)
				}
			}
		})
	}
}

// checkError wants a *checkpoint.Error of one line that names file and holds
// fact.
func checkError(t *testing.T, err error, file, fact string) {
	t.Helper()
	var e *checkpoint.Error
	switch {
	case err == nil:
		t.Errorf("no error, want %q", fact)
	case !errors.As(err, &e):
		t.Errorf("%v is not a *checkpoint.Error", err)
	case !strings.HasPrefix(err.Error(), file+": ") || !strings.Contains(err.Error(), fact):
		t.Errorf("%q, want %s: ... %q", err, file, fact)
	case strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000:
		t.Errorf("%q is not one line", err)
	}
}

func TestRefusesReferenceFiles(t *testing.T) {
	for file, fact := range map[string]string{
		"object.npy":         "holds Python objects, which are never read",
		"complex.npy":        `dtype "<c8" cannot be read; want f2`,
		"text.npy":           `dtype "<U2" cannot be read`,
		"structured.npy":     "array is structured",
		"bfloat16.npy":       `dtype "<V2" is raw bytes (bfloat16 is saved like this)`,
		"datetime.npy":       "cannot be read",
		"float8.safetensors": `tensor "w" has dtype "F8_E4M3", which cannot be computed with`,
	} {
		path := filepath.Join("testdata/refused", file)
		_, err := Read(path)
		checkError(t, err, path, fact)
	}
}

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	_, err := Read("x.txt")
	checkError(t, err, "x.txt", `extension ".txt" is not one of .npy, .npz, .safetensors`)
	checkError(t, Write("x", nil), "x", `extension "" is not one of`)
	for _, ext := range []string{".npy", ".npz", ".safetensors"} {
		path := filepath.Join(dir, "absent"+ext)
		_, err := Read(path)
		checkError(t, err, path, "no such file or folder")
		path = filepath.Join(dir, "folder"+ext)
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
		_, err = Read(path)
		checkError(t, err, path, "is not a regular file")
		path = filepath.Join(dir, "empty"+strings.ToUpper(ext))
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err = Read(path); err == nil {
			t.Errorf("%s: read", path)
		}
		checkError(t, err, path, "")
	}
}

// random makes a tensor of rank 0 to 3, of any type; booleans are 0 or 1.
func random(r *rand.Rand, name string) Tensor {
	d := ir.DTypes()[r.IntN(len(ir.DTypes()))]
	var sizes []int
	for range r.IntN(4) {
		sizes = append(sizes, r.IntN(5))
	}
	t := Tensor{name, ir.T(d, sizes...), nil}
	t.Data = make([]byte, t.Type.Bytes())
	for i := range t.Data {
		t.Data[i] = byte(r.Uint32())
		if d == ir.Bool {
			t.Data[i] &= 1
		}
	}
	return t
}

// same reports whether two lists hold the same bits, NaN included.
func same(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return x == y || x != x && y != y })
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		var ts []Tensor
		for i := range 1 + r.IntN(5) {
			ts = append(ts, random(r, fmt.Sprintf("layers.%d.ü/%c", i, 'a'+r.IntN(26))))
		}
		for _, file := range []string{"w.npy", "w.npz", "w.safetensors"} {
			path := filepath.Join(dir, file)
			want := slices.Clone(ts)
			if file == "w.npy" {
				want = want[:1]
				want[0].Name = "w"
			}
			if err := Write(path, want); err != nil {
				t.Fatal(err)
			}
			first, _ := os.ReadFile(path)
			if err := Write(path, want); err != nil {
				t.Fatal(err)
			}
			if second, _ := os.ReadFile(path); !bytes.Equal(first, second) {
				t.Fatalf("seed %d: %s has other bytes when written again", seed, file)
			}
			got, err := Read(path)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if len(got) != len(want) {
				t.Fatalf("seed %d: %s has %d tensors, want %d", seed, file, len(got), len(want))
			}
			for i, w := range want {
				g := got[i]
				if file != "w.safetensors" && w.Type.DType == ir.BF16 {
					w.Type.DType = ir.F32 // .npy has no bfloat16; the values stay
					if !same(g.Float64s(), want[i].Float64s()) {
						t.Fatalf("seed %d: %s: %v, want %v", seed, file, g.Float64s(), want[i].Float64s())
					}
					w.Data = g.Data
				}
				if g.Name != w.Name || !g.Type.Equal(w.Type) || !bytes.Equal(g.Data, w.Data) {
					t.Fatalf("seed %d: %s: %q %s %v, want %q %s %v", seed, file, g.Name, g.Type, g.Data, w.Name, w.Type, w.Data)
				}
			}
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	a := FromFloat32s("a", []float32{1, 2}, 2)
	for _, c := range []struct {
		file string
		ts   []Tensor
		fact string
	}{
		{"x.npy", []Tensor{a, a}, "holds exactly one tensor, not 2"},
		{"x.npy", nil, "holds exactly one tensor, not 0"},
		{"x.npz", []Tensor{a, a}, `tensor name "a" is empty or there twice`},
		{"x.npz", []Tensor{{"", a.Type, a.Data}}, `tensor name "" is empty`},
		{"x.safetensors", []Tensor{a, a}, `tensor "a" is there twice`},
		{"x.npy", []Tensor{FromInt32s("a", []int32{1, 2}, 3)}, "type i32[3] of 12 bytes, but 8 bytes of data"},
		{"x.npy", []Tensor{{"a", ir.Type{DType: ir.F32, Shape: []ir.Dim{ir.Sym("n")}}, nil}}, "is not fully known"},
		{"x.npy", []Tensor{{"a", ir.T(ir.F32, -1, -1), make([]byte, 4)}}, "with a negative size"},
		{"x.npz", []Tensor{{"a", ir.T(ir.F32, math.MaxInt/2+1, 4), nil}}, "more bytes than can be counted"},
		{"x.npy", []Tensor{{"a", ir.T(ir.Invalid), nil}}, "is not fully known"},
		{"x.npy", []Tensor{FromInt32s("a", []int32{1}, slices.Repeat([]int{1}, 65)...)}, "65 axes, more than the limit of 64"},
	} {
		path := filepath.Join(dir, c.file)
		checkError(t, Write(path, c.ts), path, c.fact)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestValues(t *testing.T) {
	i64 := Tensor{"ids", ir.T(ir.I64, 2, 2), nil}
	for _, v := range []int64{-1, 7, math.MaxInt32, math.MinInt32} {
		for i := range 8 {
			i64.Data = append(i64.Data, byte(v>>(8*i)))
		}
	}
	got, err := i64.Int32s()
	if want := []int32{-1, 7, math.MaxInt32, math.MinInt32}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	i64.Data[28] = 0x7f // the last, past 32 bits
	_, err = i64.Int32s()
	checkError(t, err, `tensor "ids"`, "element [1 1] is -551903297536, which is out of range")

	whole := FromFloat32s("x", []float32{0, -3, 5e6}, 3)
	got, err = whole.Int32s()
	if want := []int32{0, -3, 5_000_000}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, c := range []struct {
		v    float32
		fact string
	}{
		{0.5, "element [0 1] is 0.5, which is not a whole number"},
		{float32(math.NaN()), "is NaN, which is not a whole number"},
		{float32(math.Inf(1)), "is +Inf, which is out of range"},
		{1 << 31, "out of range"},
	} {
		_, err := FromFloat32s("x", []float32{1, c.v}, 1, 2).Int32s()
		checkError(t, err, `tensor "x"`, c.fact)
	}
	if s := FromInt32s("s", []int32{-9}); s.Type.Rank() != 0 || !slices.Equal(s.Float32s(), []float32{-9}) {
		t.Errorf("scalar %s %v", s.Type, s.Float32s())
	}
	// 2^24+1 is halfway between two float32: the even one.
	if got := FromInt32s("s", []int32{1<<24 + 1, 1<<24 + 3}, 2).Float32s(); !slices.Equal(got, []float32{1 << 24, 1<<24 + 4}) {
		t.Errorf("rounded to %v", got)
	}
}

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

func TestReadsRealArchives(t *testing.T) {
	for file, want := range map[string]string{
		"golden/whisper_mel_filters.npz": "[mel_80 f32[80,201] mel_128 f32[128,201]]",
		"audio/g2p/checkpoint20.npz":     "[enc_emb f32[29,256]",
	} {
		ts, err := Read(sharedData(t, file))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range ts {
			got = append(got, x.Name+" "+x.Type.String())
			if i := checkpoint.FirstNaN(x.Type.DType, x.Data); i >= 0 {
				t.Errorf("%s: %s: element %d is not finite", file, x.Name, i)
			}
		}
		if s := fmt.Sprint(got); !strings.HasPrefix(s, want) {
			t.Errorf("%s: %s, want %s", file, s, want)
		}
	}
}
