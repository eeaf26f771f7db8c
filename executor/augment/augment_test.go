package augment

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/audio"
	"pipe.dev/executor/change"
	"pipe.dev/executor/image"
)

// always is a row of the table with what its documents say, done for certain.
func always(t *testing.T, d Def, make func(a any) any) change.Step[*audio.Clip] {
	t.Helper()
	a, err := attr.Default(d.Attr)
	if err != nil {
		t.Fatal(err)
	}
	return Table().Step(0, d, make(a))
}

func sine(n int) *audio.Clip {
	c := &audio.Clip{Rate: 8000, Channels: 1, Samples: make([]float32, n)}
	for i := range c.Samples {
		c.Samples[i] = float32(0.5 * math.Sin(2*math.Pi*440*float64(i)/8000))
	}
	return c
}

// TestChanges: each does what it says, by how much it says.
func TestChanges(t *testing.T) {
	run := func(s change.Step[*audio.Clip], item uint64) *audio.Clip {
		c := sine(4000)
		if err := (Chain{s}).Apply(c, 1, item); err != nil {
			t.Fatal(err)
		}
		return c
	}
	db := func(c *audio.Clip) float64 { return 10 * math.Log10(power(c.Samples)/power(sine(4000).Samples)) }
	near := func(what string, got, want, by float64) {
		t.Helper()
		if !(math.Abs(got-want) <= by) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("gain", db(run(always(t, gain(), func(any) any { return GainAttr{1, [2]float64{-3, -3}} }), 0)), -3, 1e-4)
	noisy := run(always(t, noise(), func(any) any { return NoiseAttr{1, [2]float64{10, 10}} }), 0)
	for i, v := range sine(4000).Samples {
		noisy.Samples[i] -= v
	}
	near("noise", db(noisy), -10, 0.3)
	faster := run(always(t, speed(), func(any) any { return FactorAttr{1, [2]float64{1.25, 1.25}} }), 0)
	near("speed", float64(faster.Len()), 3200, 1)
	near("stretch", float64(run(always(t, stretch(), func(any) any { return FactorAttr{1, [2]float64{0.8, 0.8}} }), 0).Len()), 5000, 1)
	near("pitch", float64(run(always(t, pitch(), func(any) any { return PitchAttr{1, [2]float64{3, 3}} }), 0).Len()), 4000, 0)
	wet := run(always(t, room(), func(any) any { return RoomAttr{P: 1, Seconds: [2]float64{0.2, 0.2}, Wet: [2]float64{0.5, 0.5}} }), 0)
	if near("room", db(wet), 0, 1e-3); slices.Equal(wet.Samples, sine(4000).Samples) {
		t.Error("a room changes nothing")
	}
	near("normalize", float64(slices.Max(run(always(t, normalize(), func(any) any { return NormalizeAttr{0.25} }), 0).Samples)), 0.25, 1e-3)
	moved := run(always(t, shift(), func(any) any { return ShiftAttr{1, 0.1} }), 3)
	by := 0
	for moved.Samples[by] == 0 && by < 800 {
		by++
	}
	for behind := moved.Samples; by <= 1 && behind[len(behind)-1] == 0; behind = behind[:len(behind)-1] {
		by--
	}
	if by == 0 || moved.Len() != 4000 {
		t.Errorf("shifted by %d", by)
	}
}

// TestDice: what is drawn goes by seed and number, and how often by p.
func TestDice(t *testing.T) {
	s := always(t, gain(), func(a any) any { return a })
	changed := 0
	for item := range uint64(400) {
		a, b := sine(50), sine(50)
		if err := (Chain{s}).Apply(a, 1, item); err != nil {
			t.Fatal(err)
		}
		if err := (Chain{s}).Apply(b, 1, item); err != nil || !slices.Equal(a.Samples, b.Samples) {
			t.Fatal("equal draws differ", err)
		}
		if !slices.Equal(a.Samples, sine(50).Samples) {
			changed++
		}
	}
	if changed < 160 || changed > 240 {
		t.Errorf("%d of 400 were changed by p 0.5", changed)
	}
	if image.NewDice(1, "sound 0 gain", 2).Float() == image.NewDice(1, "sound 1 gain", 2).Float() {
		t.Error("equal steps of a chain draw alike")
	}
	if (Chain{s}).Random() != 0 || (Chain{always(t, normalize(), func(a any) any { return a })}).Random() != -1 {
		t.Error("which step is random")
	}
}

// TestRooms: a recorded response gives an echo where it has one, as loud as the sound was, at the rate of the clip.
func TestRooms(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "hall.wav")
	response := &audio.Clip{Rate: 16000, Channels: 1, Samples: make([]float32, 900)}
	response.Samples[100], response.Samples[900-1] = 0.8, 0 // the sound itself, after 100 samples
	for i := range 32 {                                     // and an echo 400 samples later, which half the rate can hold
		response.Samples[484+i] = float32(0.4 * math.Sin(math.Pi*float64(i)/31) * math.Cos(math.Pi*float64(i-16)/8))
	}
	if _, err := audio.Write(file, response, 0); err != nil {
		t.Fatal(err)
	}
	chain, err := Table().Decode([]any{map[string]any{"name": "room", "p": json.Number("1"), "files": []any{filepath.Join(dir, "*.wav")}}})
	if err != nil {
		t.Fatal(err)
	}
	c := &audio.Clip{Rate: 16000, Channels: 1, Samples: make([]float32, 2000)}
	c.Samples[10] = 0.5
	if err := chain.Apply(c, 1, 0); err != nil {
		t.Fatal(err)
	}
	by := float64(c.Samples[10]) / 0.8
	for i, v := range c.Samples {
		want := 0.0
		if i >= 10 && i+90 < 900 {
			want = by * float64(response.Samples[i+90])
		}
		if math.Abs(float64(v)-want) > 1e-6 {
			t.Fatalf("sample %d is %v, want %v", i, v, want)
		}
	}
	if got := power(c.Samples) * 2000; math.Abs(got-0.25) > 1e-6 {
		t.Errorf("its power is %v, and was 0.25", got)
	}
	slow := &audio.Clip{Rate: 8000, Channels: 1, Samples: make([]float32, 1000)}
	slow.Samples[10] = 0.5
	if err := chain.Apply(slow, 1, 0); err != nil {
		t.Fatal(err)
	}
	loudest := 100 // of the echo
	for i := 100; i < 400; i++ {
		if math.Abs(float64(slow.Samples[i])) > math.Abs(float64(slow.Samples[loudest])) {
			loudest = i
		}
	}
	if loudest < 10+200-2 || loudest > 10+200+2 {
		t.Errorf("at half the rate the echo comes %d samples later, want 200", loudest-10)
	}
	silent := filepath.Join(dir, "none.wav")
	if _, err := audio.Write(silent, &audio.Clip{Rate: 8000, Channels: 1, Samples: make([]float32, 10)}, 16); err != nil {
		t.Fatal(err)
	}
	for want, name := range map[string]string{"none.wav: is silent": silent, "there is none like": filepath.Join(dir, "*.flac"), "no such file": filepath.Join(dir, "x.wav")} {
		if _, err := Table().Decode([]any{map[string]any{"name": "room", "files": []any{name}}}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
