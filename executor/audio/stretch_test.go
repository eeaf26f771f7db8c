package audio

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// stretched are the values of testdata/golden/stretch.py.
func stretched(t *testing.T) map[string]tensorfile.Tensor {
	t.Helper()
	return tensortest.Read(t, filepath.Join("..", "..", "testdata", "golden", "audio", "stretch", "values.npz"))
}

// TestStretch holds changes of speed against librosa.
func TestStretch(t *testing.T) {
	values := stretched(t)
	x, cases := values["x"].Float32s(), 0
	for name, v := range values {
		text, ok := strings.CutPrefix(name, "stretch_")
		if !ok {
			continue
		}
		cases++
		var rate float64
		fmt.Sscan(text, &rate)
		got, want := Stretch(x, rate), v.Float32s()
		if len(got) != len(want) {
			t.Fatalf("%s: %d samples, want %d", name, len(got), len(want))
		}
		d := 0.0
		for i := range got {
			d = max(d, math.Abs(float64(got[i]-want[i])))
		}
		if d > 1e-6 {
			t.Errorf("%s differs by %v", name, d)
		}
	}
	if cases != 3 {
		t.Error(cases)
	}
}

// TestPitch: tones become so much higher, and clips stay as long as they are.
func TestPitch(t *testing.T) {
	y, err := Pitch(tone(440, 16000, 16000).Samples, 12)
	if err != nil || len(y) != 16000 {
		t.Fatal(len(y), err)
	}
	if at, _ := levels(&Clip{Rate: 16000, Channels: 1, Samples: y}, 880); at < -1.5 {
		t.Errorf("the octave of a tone has %.1f dB", at)
	}
	if y, err = Speed(tone(440, 16000, 16000).Samples, 1.5, 0); err != nil || len(y) != 10667 {
		t.Fatal(len(y), err)
	}
	if at, _ := levels(&Clip{Rate: 16000, Channels: 1, Samples: y}, 660); at < -0.01 {
		t.Errorf("the fifth of a tone has %.2f dB", at)
	}
}

// TestConvolve compares with the sum.
func TestConvolve(t *testing.T) {
	x, h := tone(900, 8000, 100).Samples, tone(1300, 8000, 37).Samples
	for i, v := range Convolve(x, h) {
		want := 0.0
		for k := 0; k < len(h) && k <= i; k++ {
			want += float64(h[k]) * float64(x[i-k])
		}
		if math.Abs(float64(v)-want) > 1e-5 {
			t.Fatalf("%d: %v, want %v", i, v, want)
		}
	}
}
