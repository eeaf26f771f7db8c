package stage

import (
	"math"
	"strings"
	"testing"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/audio"
)

// hum is a tone of 440 Hz in the second half of a second.
func hum() *audio.Clip {
	c := &audio.Clip{Rate: 8000, Channels: 1, Samples: make([]float32, 8000)}
	for i := 4000; i < 8000; i++ {
		c.Samples[i] = float32(0.5 * math.Sin(2*math.Pi*440*float64(i)/8000))
	}
	return c
}

func TestAudioMeasure(t *testing.T) {
	x, err := attr.Default(AudioMeasureAttr{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := x.(AudioMeasureAttr).measure(hum())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		got        *float64
		want, near float64
	}{{"peak", m.Peak, -6.02, 0.1}, {"rms", m.RMS, -12.04, 0.01}, {"loudness", m.LUFS, -11.2, 1}, {"pitch", m.Pitch, 440, 1.5}} {
		if c.got == nil || math.Abs(*c.got-c.want) > c.near {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
			if c.got != nil {
				t.Log(*c.got)
			}
		}
	}
	silent := &audio.Clip{Rate: 8000, Channels: 2, Samples: make([]float32, 8000)}
	if m, err = x.(AudioMeasureAttr).measure(silent); err != nil || m.Peak != nil || m.LUFS != nil || !strings.Contains(m.String(), "loudness none") {
		t.Error(m, err)
	}
}

// TestAudioPlot: the tone is the brightest row of its half, and the other is black.
func TestAudioPlot(t *testing.T) {
	x, err := attr.Default(AudioPlotAttr{})
	if err != nil {
		t.Fatal(err)
	}
	a := x.(AudioPlotAttr)
	a.Width, a.Height, a.Pitch = 100, 101, false
	p, err := a.draw(hum())
	if err != nil || p.Width != 100 || p.Height != 151 {
		t.Fatal(p, err)
	}
	bright := func(x, y int) int {
		at := 3 * (y*100 + x)
		return int(p.Pix[at]) + int(p.Pix[at+1]) + int(p.Pix[at+2])
	}
	best := 50
	for y := 50; y < 151; y++ {
		if bright(75, y) > bright(75, best) {
			best = y
		}
		if bright(20, y) > 4 {
			t.Fatalf("silence has a colour in row %d", y)
		}
	}
	if want := a.row(440, 8000); best < want-1 || best > want+1 {
		t.Errorf("the tone is in row %d, want %d", best, want)
	}
	a.Pitch = true
	if p, err = a.draw(hum()); err != nil || bright(75, a.row(440, 8000)) != 120+255+160 {
		t.Error("there is no pitch", err)
	}
	if a.Top = 5000; err == nil {
		_, err = a.draw(hum())
	}
	if err == nil || !strings.Contains(err.Error(), "top is 5000 Hz") {
		t.Error(err)
	}
}
