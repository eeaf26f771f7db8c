package audio

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"pipe.dev/executor/tensorfile/tensortest"
)

// TestYin holds pitches against librosa.
func TestYin(t *testing.T) {
	values := stretched(t)
	got, clear, err := Yin{Low: 80, High: 1000, Frame: 1024, Hop: 256, Threshold: 0.1}.Pitch(values["x"].Float32s(), 22050)
	want := values["yin"].Float64s()
	if err != nil || len(got) != len(want) || len(clear) != len(want) {
		t.Fatal(len(got), len(want), err)
	}
	for i := range got {
		if d := math.Abs(got[i] - want[i]); d > 1e-6*want[i] {
			t.Errorf("frame %d has %v Hz, want %v", i, got[i], want[i])
		}
	}
	if _, _, err := (Yin{Low: 50, High: 20, Frame: 1024, Hop: 256}).Pitch(nil, 8000); err == nil {
		t.Error("a range that is none")
	}
}

// TestPYin holds the pitch of a voice that comes and goes against librosa.
func TestPYin(t *testing.T) {
	t.Parallel()
	values := tensortest.Read(t, filepath.Join("..", "..", "testdata", "golden", "audio", "pyin", "values.npz"))
	hz, voiced, err := PYin{Low: 80, High: 1000, Frame: 1024, Hop: 256}.Pitch(values["x"].Float32s(), 22050)
	want, likely := values["hz"].Float64s(), values["voiced"].Float64s()
	if err != nil || len(hz) != len(want) || len(voiced) != len(want) {
		t.Fatal(len(hz), len(voiced), len(want), err)
	}
	silent := 0
	for i := range hz {
		if math.Abs(hz[i]-want[i]) > 1e-6*want[i] || math.Abs(voiced[i]-likely[i]) > 1e-6 {
			t.Errorf("frame %d has %v Hz by %v, want %v by %v", i, hz[i], voiced[i], want[i], likely[i])
		}
		if hz[i] == 0 {
			silent++
		}
	}
	if silent == 0 || silent == len(hz) {
		t.Errorf("%d of %d frames have no voice", silent, len(hz))
	}
	if _, _, err := (PYin{Low: 80, High: 90, Frame: 1024, Hop: 512}).Pitch(nil, 8000); err == nil {
		t.Error("a range narrower than a change")
	}
}

// TestLoudness holds loudness against pyloudnorm, and against the first signal of EBU Tech
// 3341: a tone of 1 kHz and -23 dBFS in both channels has -23 LUFS.
func TestLoudness(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "golden", "audio", "loudness.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Rate  int
		Parts [][3]float64
		LUFS  *float64
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) != 4 {
		t.Fatal(err)
	}
	for _, c := range cases {
		clip := &Clip{Rate: c.Rate, Channels: 2}
		for _, p := range c.Parts {
			for i := range int(p[2] * float64(c.Rate)) {
				v := float32(p[0] * math.Sin(2*math.Pi*p[1]*float64(i)/float64(c.Rate)))
				clip.Samples = append(clip.Samples, v, v/2)
			}
		}
		want := math.Inf(-1)
		if c.LUFS != nil {
			want = *c.LUFS
		}
		if got := clip.Loudness(); got != want && !(math.Abs(got-want) < 1e-6) {
			t.Errorf("%v: %v LUFS, want %v", c.Parts, got, want)
		}
	}
	x := tone(1000, 48000, 48000*3)
	both := &Clip{Rate: 48000, Channels: 2}
	for _, v := range x.Samples {
		v *= float32(math.Pow(10, -23./20))
		both.Samples = append(both.Samples, v, v)
	}
	if got := both.Loudness(); math.Abs(got+23) > 0.05 {
		t.Errorf("%v LUFS, want -23", got)
	}
}
