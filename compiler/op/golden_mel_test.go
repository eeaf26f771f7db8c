package op_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/internal/mel"
)

// TestMel holds scales and all filters against those that MATLAB made, as librosa
// keeps them, and against the filters that Whisper ships.
func TestMel(t *testing.T) {
	tensors, err := tensorfile.Read(filepath.Join("..", "..", "testdata", "golden", "sound", "mel.npz"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]float64{}
	for _, x := range tensors {
		values[x.Name] = x.Float64s()
	}
	names := []string{"slaney", "htk"}
	banks, scales := 0, 0
	for name, want := range values {
		how := values[name+".how"]
		switch {
		case how != nil:
			banks++
			b := mel.Bank{Rate: how[0], NFFT: int(how[1]), Mels: int(how[2]), Low: how[3], High: how[4], Scale: names[int(how[5])], Norm: "none"}
			if how[6] == 1 {
				b.Norm = "slaney"
			}
			if d := farthest(b.Filters(), want); d > 1e-6 || b.Check() != nil {
				t.Errorf("%s differs by %v: %v", name, d, b.Check())
			}
		case values[name+".htk"] != nil:
			scales++
			n, scale, f := len(want)/2, names[int(values[name+".htk"][0])], mel.ToHz
			if strings.HasPrefix(name, "hz") {
				f = mel.FromHz
			}
			for i := range n {
				if d := math.Abs(f(want[i], scale) - want[n+i]); d > 1e-9*max(1, want[n+i]) {
					t.Errorf("%s: %v differs by %v", name, want[i], d)
				}
			}
		case strings.HasPrefix(name, "whisper"):
			b := mel.Bank{Rate: 16000, NFFT: 400, Mels: len(want) / 201, Scale: "slaney", Norm: "slaney"}
			if d := farthest(b.Filters(), want); d > 1e-8 {
				t.Errorf("%s differs by %v", name, d)
			}
		}
	}
	if banks != 145 || scales != 8 {
		t.Errorf("%d banks, %d scales", banks, scales)
	}
}

func farthest(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range a {
		d = max(d, math.Abs(a[i]-b[i]))
	}
	return d
}
