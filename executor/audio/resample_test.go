package audio

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
)

// TestTorchaudio holds changes of rate against torchaudio, by its filter, and the
// standard one in parts against itself at once.
func TestTorchaudio(t *testing.T) {
	values, err := tensorfile.Read(filepath.Join("..", "..", "testdata", "golden", "audio", "resample", "values.npz"))
	if err != nil {
		t.Fatal(err)
	}
	var x []float32
	for _, v := range values {
		if v.Name == "x" {
			x = v.Float32s()
		}
	}
	if len(values) != 6 || len(x) != 700 {
		t.Fatal(len(values), len(x))
	}
	theirs := Filter{Zeros: 64, Rolloff: 0.9475937167399596, Beta: 14.769656459379492}
	for _, v := range values {
		if v.Name == "x" {
			continue
		}
		var from, to int
		fmt.Sscanf(v.Name, "%d_%d", &from, &to)
		r, err := NewResampler(from, to, theirs)
		if err != nil {
			t.Fatal(err)
		}
		got, want := r.Finish(r.Push(nil, x)), v.Float64s()
		if len(got) != len(want) {
			t.Errorf("%s: %d samples, want %d", v.Name, len(got), len(want))
			continue
		}
		for i := range got {
			if d := math.Abs(float64(got[i]) - want[i]); d > 2e-7 {
				t.Fatalf("%s: sample %d differs by %v", v.Name, i, d)
			}
		}
		for _, part := range []int{1, 7, 256} {
			var again []float32
			for p := range slices.Chunk(x, part) {
				again = r.Push(again, p)
			}
			if again = r.Finish(again); !slices.Equal(got, again) {
				t.Errorf("%s: parts of %d give other samples", v.Name, part)
			}
		}
		r.taps = nil
		if again := r.Finish(r.Push(nil, x)); !slices.Equal(got, again) {
			t.Errorf("%s: without a table there are other samples", v.Name)
		}
	}
}

// tone is a sine of a frequency, Hz.
func tone(hz float64, rate, n int) *Clip {
	c := &Clip{Rate: rate, Channels: 1, Samples: make([]float32, n)}
	for i := range c.Samples {
		c.Samples[i] = float32(math.Sin(2 * math.Pi * hz * float64(i) / float64(rate)))
	}
	return c
}

// levels are how loud a clip is at a frequency, and in all, dB below a whole sine; the ends are left out.
func levels(c *Clip, hz float64) (at, rest float64) {
	x := c.Samples[len(c.Samples)/4 : len(c.Samples)*3/4]
	var re, im, norm float64
	for i, v := range x {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(len(x)))
		s, k := math.Sincos(2 * math.Pi * hz * float64(i) / float64(c.Rate))
		re, im, norm = re+w*k*float64(v), im-w*s*float64(v), norm+w/2
	}
	re, im = re/norm, im/norm
	var sum float64
	for i, v := range x {
		s, k := math.Sincos(2 * math.Pi * hz * float64(i) / float64(c.Rate))
		d := float64(v) - (re*k - im*s)
		sum += d * d
	}
	return 20 * math.Log10(math.Hypot(re, im)), 10 * math.Log10(2*sum/float64(len(x)))
}

// TestBands measures the standard filter: what passes, and what does not.
func TestBands(t *testing.T) {
	for _, rates := range [][2]int{{48000, 16000}, {44100, 16000}, {8000, 16000}, {44100, 48000}} {
		lower := float64(min(rates[0], rates[1]))
		for _, share := range []float64{0.1, 0.4, 0.9, 0.939} {
			hz := share * lower / 2
			c, err := tone(hz, rates[0], rates[0]/4).Resample(rates[1])
			if err != nil {
				t.Fatal(err)
			}
			at, rest := levels(c, hz)
			if math.Abs(at) > 1e-4 || rest > -120 {
				t.Errorf("%v: %.0f Hz passes with %.6f dB, and what it was not has %.1f dB", rates, hz, at, rest)
			}
		}
		for _, share := range []float64{1, 1.02, 1.3, 1.9, 2.6} {
			hz := share * lower / 2
			if hz >= float64(rates[0])/2 {
				continue
			}
			c, err := tone(hz, rates[0], rates[0]/4).Resample(rates[1])
			if err != nil {
				t.Fatal(err)
			}
			if _, rest := levels(c, 0); rest > -120 {
				t.Errorf("%v: of %.0f Hz %.1f dB are left", rates, hz, rest)
			}
		}
	}
}

func TestLengths(t *testing.T) {
	for _, c := range []struct{ from, to, n, want int }{{3, 2, 7, 5}, {2, 3, 7, 11}, {44100, 16000, 1, 1}, {16000, 16000, 9, 9}, {16000, 16001, 100, 101}} {
		y, err := (&Clip{Rate: c.from, Channels: 2, Samples: make([]float32, 2*c.n)}).Resample(c.to)
		if err != nil || y.Len() != c.want || y.Rate != c.to {
			t.Errorf("%v: %v, %v", c, y, err)
		}
	}
	if _, err := NewResampler(0, 8000, Standard); err == nil || !strings.Contains(err.Error(), "from 0 to 8000 Hz") {
		t.Error(err)
	}
}
