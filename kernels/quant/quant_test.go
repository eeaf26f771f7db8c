package quant

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden reads a fixture of testdata/golden/quant.py.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "golden", "quant", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func floats(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d weights, want %d", what, len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] || math.Signbit(float64(got[i])) != math.Signbit(float64(want[i])) && want[i] != 0 {
			t.Fatalf("%s: weight %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}

// Blocks of random bits stand for what the reference implementation says.
func TestDecode(t *testing.T) {
	for _, f := range Formats() {
		if strings.HasPrefix(f.Name, "q4_g") {
			continue // no other implementation has them as rows: see TestGroupRows
		}
		blocks, want := golden(t, f.Name+".blocks"), floats(golden(t, f.Name+".values"))
		got := make([]float32, len(want))
		if err := f.Decode(got, blocks); err != nil {
			t.Fatal(err)
		}
		if len(want) < 2*f.Block {
			t.Fatalf("%s: %d weights, want two blocks at least", f.Name, len(want))
		}
		sameBits(t, f.Name, got, want)
	}
}

// Where the reference implementation encodes, the bytes are its own.
func TestEncode(t *testing.T) {
	for _, name := range []string{"q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "nf4"} {
		f, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		src, want := floats(golden(t, name+".source")), golden(t, name+".encoded")
		got := make([]byte, len(want))
		if err := f.Encode(got, src); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s: block %d, byte %d is %#x, want %#x", name, i/f.Bytes, i%f.Bytes, got[i], want[i])
			}
		}
	}
}

// normal is n weights as models have them, some of them far out.
func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * 0.02)
		if r.IntN(500) == 0 {
			x[i] *= 8
		}
	}
	return x
}

func through(t *testing.T, f Format, x []float32) []float32 {
	t.Helper()
	size, err := f.Size(len(x))
	if err != nil {
		t.Fatal(err)
	}
	blocks, back := make([]byte, size), make([]float32, len(x))
	for i := range blocks {
		blocks[i] = 0xff // what was there before must not matter
	}
	if err := f.Encode(blocks, x); err != nil {
		t.Fatal(err)
	}
	if err := f.Decode(back, blocks); err != nil {
		t.Fatal(err)
	}
	return back
}

// The error of normal weights is what that many levels allow: a uniform
// quantiser of n bits over ±3.5 standard deviations errs by 7/2^n/sqrt(12),
// and none of these formats is worse than 1.1 times that.
func TestLoss(t *testing.T) {
	x := normal(rand.New(rand.NewPCG(1, 2)), 64*256)
	bits := map[string]float64{"q8_0": 8, "q6_k": 6, "q5_0": 5, "q5_1": 5, "q5_k": 5, "q4_0": 4, "q4_1": 4, "q4_k": 4, "iq4_nl": 4, "nf4": 4, "q3_k": 3, "q2_k": 2, "q4_g32": 4, "q4_g64": 4, "q4_g128": 4}
	loss := map[string]float64{}
	for _, f := range Formats() {
		l, err := Measure(x, through(t, f, x))
		if err != nil {
			t.Fatal(err)
		}
		loss[f.Name] = l.Relative
		bound := 1.1 * 7 / math.Exp2(bits[f.Name]) / math.Sqrt(12)
		t.Logf("%s: %.1f bits, relative error %.4f, at most %.4f", f.Name, f.Bits(), l.Relative, bound)
		if !(l.Relative > 0 && l.Relative < bound) {
			t.Errorf("%s: relative error %.4f, want at most %.4f", f.Name, l.Relative, bound)
		}
	}
	for _, pair := range [][2]string{{"q8_0", "q6_k"}, {"q6_k", "q5_k"}, {"q5_k", "q4_k"}, {"q4_k", "q3_k"}, {"q3_k", "q2_k"}, {"iq4_nl", "q4_0"}, {"q4_k", "q4_0"}} {
		if loss[pair[0]] >= loss[pair[1]] {
			t.Errorf("%s errs by %.4f, no less than %s by %.4f", pair[0], loss[pair[0]], pair[1], loss[pair[1]])
		}
	}
}

// Weights that a format can hold exactly come back: zeros, and what it decoded.
func TestExact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, f := range Formats() {
		zeros := make([]float32, 2*f.Block)
		sameBits(t, f.Name+" zeros", through(t, f, zeros), zeros)
		tiny := make([]float32, f.Block)
		tiny[3] = math.SmallestNonzeroFloat32
		for i, v := range through(t, f, tiny) {
			if !(abs(v) <= 1e-7) {
				t.Errorf("%s: weight %d of a tiny block is %g", f.Name, i, v)
			}
		}
		once := through(t, f, normal(r, 4*f.Block))
		l, err := Measure(once, through(t, f, once))
		if err != nil {
			t.Fatal(err)
		}
		first, err := Measure(once, make([]float32, len(once)))
		if err != nil || !(l.RMS < first.RMS/8) {
			t.Errorf("%s: weights it made change by %g when made again", f.Name, l.RMS)
		}
	}
}

func TestRefusals(t *testing.T) {
	if _, err := Lookup("q4_2"); err == nil || !strings.Contains(err.Error(), `"q4_2"`) || !strings.Contains(err.Error(), "q4_0") {
		t.Errorf("Lookup: %v", err)
	}
	f, err := Lookup("q4_k")
	if err != nil {
		t.Fatal(err)
	}
	bad := make([]float32, 256)
	bad[7] = float32(math.NaN())
	for want, err := range map[string]error{
		"q4_k: 100 weights are no whole number of blocks of 256": f.Decode(make([]float32, 100), nil),
		"q4_k: 256 weights take 144 bytes, not 143":              f.Decode(make([]float32, 256), make([]byte, 143)),
		"q4_k: weight 7 is NaN: want at most 65504 in magnitude": f.Encode(make([]byte, 144), bad),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("any bits stand for something"), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, which uint8) {
		formats := Formats()
		q := formats[int(which)%len(formats)]
		n := len(data) / q.Bytes
		if err := q.Decode(make([]float32, n*q.Block), data[:n*q.Bytes]); err != nil {
			t.Fatal(err)
		}
	})
}
