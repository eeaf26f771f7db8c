package op

import (
	"path/filepath"
	"testing"

	"pipe.dev/compiler/ir"
)

// Transforms and their inverse are those of MATLAB, as librosa keeps them.
func TestLibrosa(t *testing.T) {
	f := readFixture(t, filepath.Join(golden, "signal", "librosa.safetensors"))
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stft1", "stft2", "stft3"} {
		at := f.attr[name].(map[string]any)
		a := StftAttr{NFFT: int(at["nfft"].(float64)), Hop: int(at["hop_length"].(float64)), Window: "ones", Periodic: true}
		if at["hann_w"].(float64) > 0 {
			a.Window = "hann"
		}
		b := NewBuilder(table)
		n := (f.types[name+".real"].Shape[1].N-1)*a.Hop + a.NFFT
		out := b.Apply("stft", a, b.Graph.AddInput("x", ir.T(ir.F32, n), ir.Pos{}))
		b.Graph.Outputs = []ir.Output{{Name: "real", Value: out[0]}, {Name: "imag", Value: out[1]}}
		got := evaluated(t, b, map[string][]float64{"x": f.numbers["x"][:n]})
		for _, part := range []string{"real", "imag"} {
			if d := farthest(got[part], f.numbers[name+"."+part]); d > 1e-12 {
				t.Errorf("%s: %s parts differ by %v", name, part, d)
			}
		}
	}
	b := NewBuilder(table)
	re := b.Graph.AddInput("re", ir.T(ir.F32, f.types["istft.real"].Sizes()...), ir.Pos{})
	im := b.Graph.AddInput("im", ir.T(ir.F32, f.types["istft.real"].Sizes()...), ir.Pos{})
	b.Graph.Outputs = []ir.Output{{Name: "y", Value: b.one("istft", IstftAttr{NFFT: 128, Hop: 128, Window: "ones", Periodic: true}, re, im)}}
	got := evaluated(t, b, map[string][]float64{"re": f.numbers["istft.real"], "im": f.numbers["istft.imag"]})
	if d := farthest(got["y"], f.numbers["istft.y"]); d > 1e-12 {
		t.Errorf("the inverse differs by %v", d)
	}
}

func evaluated(t *testing.T, b *Builder, in map[string][]float64) map[string][]float64 {
	t.Helper()
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	out, err := Eval(b.Table, b.Graph, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// farthest is the greatest difference; of lists of several lengths, 1e300.
func farthest(a, b []float64) float64 {
	if len(a) != len(b) {
		return 1e300
	}
	d := 0.0
	for i := range a {
		d = max(d, a[i]-b[i], b[i]-a[i])
	}
	return d
}
