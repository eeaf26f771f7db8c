package stage

import (
	"context"
	"maps"
	"math"
	"strings"
	"testing"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/audio"
	"pipe.dev/executor/image"
	"pipe.dev/executor/tensorfile"
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
	const wide, high = 300, 101
	top := boardTop + high/2 + boardGap // of the spectrogram
	for _, scale := range []string{"mel", "hz"} {
		a.Width, a.Height, a.Pitch, a.Scale, a.Top = wide, high, false, scale, 0
		p, err := a.draw(hum(), nil, nil)
		if err != nil || p.Width != wide || p.Height != top+high+boardBottom {
			t.Fatal(p, err)
		}
		bright := func(seconds float64, y int) int {
			at := 3 * ((top+y)*wide + boardLeft + int(seconds*(wide-boardLeft-boardRight)))
			return int(p.Pix[at]) + int(p.Pix[at+1]) + int(p.Pix[at+2])
		}
		best := 0
		for y := range high {
			if bright(0.75, y) > bright(0.75, best) {
				best = y
			}
			if bright(0.2, y) > 4 {
				t.Fatalf("silence has a colour in row %d", y)
			}
		}
		a.Top = 4000
		if want := a.row(440, high); best < want-1 || best > want+1 {
			t.Errorf("%s: the tone is in row %d, want %d", scale, best, want)
		}
		for _, a.Method = range []string{"yin", "pyin"} {
			a.Pitch = true
			if p, err = a.draw(hum(), nil, nil); err != nil || bright(0.75, a.row(440, high)) != 120+255+160 {
				t.Error("there is no pitch", err)
			}
		}
	}
	a.Top = 5000
	_, err = a.draw(hum(), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "top is 5000 Hz") {
		t.Error(err)
	}
}

// TestPlotTimes: what stands when is drawn below, and where it begins in the spectrogram; attention is
// brightest where a step looks.
func TestPlotTimes(t *testing.T) {
	x, err := attr.Default(AudioPlotAttr{})
	if err != nil {
		t.Fatal(err)
	}
	a := x.(AudioPlotAttr)
	a.Width, a.Height, a.Pitch = 400, 64, false
	c := &Call{Attr: a, In: map[string]Value{
		"x": []*audio.Clip{hum()}, "places": tensorfile.FromInt32s("places", []int32{0, 0, 2, 2, 2, 3, 3, 3}, 1, 8), "labels": "HH AH AH1 M",
		"attention": tensorfile.FromFloat32s("attention", []float32{1, 0, 0, 1}, 1, 2, 2)}}
	v, err := runAudioPlot(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	p := v.([]*image.Picture)[0]
	spectrogram := boardTop + 32 + boardGap
	labels := spectrogram + 64 + boardGap
	if want := labels + labelRow + boardGap + 64 + boardBottom; p.Height != want {
		t.Fatalf("the picture is %d high, want %d", p.Height, want)
	}
	colour := func(seconds float64, y int) rgb {
		return rgb(p.Pix[3*(y*p.Width+boardLeft+int(math.Round(seconds*float64(a.Width-boardLeft-boardRight)))):][:3])
	}
	if colour(0.25, spectrogram) != faint || colour(0.625, spectrogram) != faint || colour(0.4, spectrogram) == faint {
		t.Error("the second begins at a quarter, the third at five eighths")
	}
	if first, second := colour(0.01, labels), colour(0.26, labels); first != background || second == first {
		t.Errorf("stretches lie on %v and %v", first, second)
	}
	at := labels + labelRow + boardGap
	if colour(0.1, at+60) != warmth(1) || colour(0.1, at+4) != warmth(0) || colour(0.9, at+4) != warmth(1) {
		t.Error("the first step looks at the first, the second at the second")
	}
	times, err := c.times([]float64{1})
	if err != nil || len(times) != 3 || times[1].label != "AH1" || times[1].from != 0.25 || times[1].to != 0.625 {
		t.Error(times, err)
	}
	for want, change := range map[string]func(in map[string]Value){
		"places names 2, and labels has 2 words":   func(in map[string]Value) { in["labels"] = "HH AH" },
		"places is tensor":                         func(in map[string]Value) { in["places"] = tensorfile.FromInt32s("places", []int32{1}, 1) },
		"attention is tensor":                      func(in map[string]Value) { in["attention"] = tensorfile.FromInt32s("attention", []int32{1}, 1) },
		"x has 2 clips; what stands at which time": func(in map[string]Value) { in["x"], in["places"] = []*audio.Clip{hum(), hum()}, nil },
	} {
		in := maps.Clone(c.In)
		change(in)
		if _, err := runAudioPlot(context.Background(), &Call{Attr: a, In: in}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
