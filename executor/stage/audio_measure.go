package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"pipe.dev/executor/audio"
)

// AudioMeasureAttr describes how sound is measured.
type AudioMeasureAttr struct {
	Low    float64 `cue:"low: number & >0 | *65" doc:"the lowest pitch, Hz"`
	High   float64 `cue:"high: number & >0 | *1000" doc:"the highest pitch, Hz"`
	Method string  `cue:"method: *\"yin\" | \"pyin\"" doc:"how pitch is found: frame by frame, or as a line through all frames"`
	Form   string  `cue:"form: *\"text\" | \"json\"" doc:"a line for each clip, or JSON: a list of objects"`
}

// measured is what there is to say of a clip. Levels are in dB below a full scale.
type measured struct {
	Seconds  float64  `json:"seconds"`
	Rate     int      `json:"rate"`
	Channels int      `json:"channels"`
	Peak     *float64 `json:"peak"`  // nil of silence
	RMS      *float64 `json:"rms"`   // likewise
	LUFS     *float64 `json:"lufs"`  // nil where it is softer than the gate, or shorter than a block
	Pitch    *float64 `json:"pitch"` // Hz, the median of frames that have a tone; nil if none has
}

func audioMeasure() *Def {
	return &Def{
		Name: "audio.measure", Title: "AudioMeasure", Result: Text, Early: true,
		Doc:   "says how long and how loud sound is (greatest sample, RMS, loudness by ITU-R BS.1770), and how high its tones are.",
		Ports: []Port{{Name: "x", Doc: "the sound", Kinds: []Kind{Audio}}},
		Attr:  AudioMeasureAttr{},
		Run: func(ctx context.Context, c *Call) (Value, error) {
			list, ok := c.In["x"].([]*audio.Clip)
			if !ok {
				return nil, errKind(c.In["x"], Audio)
			}
			a := c.Attr.(AudioMeasureAttr)
			var all []measured
			for _, clip := range list {
				m, err := a.measure(clip)
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					return nil, err
				}
				all = append(all, m)
			}
			if a.Form == "json" {
				text, err := json.Marshal(all)
				return string(text), err
			}
			var lines []string
			for _, m := range all {
				lines = append(lines, m.String())
			}
			return strings.Join(lines, "\n"), nil
		},
	}
}

// yin is how pitch is looked for at a rate: frames have six of the longest periods.
func yin(low, high float64, rate int) audio.Yin {
	frame := 6*int(math.Ceil(float64(rate)/low)) + 2
	return audio.Yin{Low: low, High: min(high, float64(rate)/4), Frame: frame, Hop: max(1, rate/100), Threshold: 0.1}
}

// tones are the pitch of frames of a clip of one channel, Hz, which lie a hop apart; 0 where there is none.
func tones(method string, low, high float64, clip *audio.Clip) (hz []float64, hop int, err error) {
	y := yin(low, high, clip.Rate)
	if method == "pyin" {
		hz, _, err = audio.PYin{Low: y.Low, High: y.High, Frame: y.Frame, Hop: y.Hop}.Pitch(clip.Samples, clip.Rate)
		return hz, y.Hop, err
	}
	hz, clear, err := y.Pitch(clip.Samples, clip.Rate)
	for i := range hz {
		if clear[i] >= mostlyNoise {
			hz[i] = 0
		}
	}
	return hz, y.Hop, err
}

// mostlyNoise is from where on a frame counts as one without a tone.
const mostlyNoise = 0.2

func (a AudioMeasureAttr) measure(clip *audio.Clip) (measured, error) {
	m := measured{Seconds: clip.Duration().Seconds(), Rate: clip.Rate, Channels: clip.Channels}
	peak, sum := 0.0, 0.0
	for _, v := range clip.Samples {
		x := float64(v)
		peak, sum = max(peak, math.Abs(x)), sum+x*x
	}
	m.Peak = known(20 * math.Log10(peak))
	m.RMS = known(10 * math.Log10(sum/float64(len(clip.Samples))))
	m.LUFS = known(clip.Loudness())
	x := clip.Mono().Samples
	hz, _, err := tones(a.Method, a.Low, a.High, &audio.Clip{Rate: clip.Rate, Channels: 1, Samples: x})
	if err != nil {
		return m, err
	}
	hz = slices.DeleteFunc(hz, func(v float64) bool { return v == 0 })
	if slices.Sort(hz); len(hz) > 0 {
		m.Pitch = &hz[len(hz)/2]
	}
	return m, nil
}

// known is nil for what is no number.
func known(x float64) *float64 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return nil
	}
	return &x
}

func (m measured) String() string {
	words := []string{fmt.Sprintf("%.3f s", m.Seconds), fmt.Sprintf("%d Hz", m.Rate), fmt.Sprintf("%d channels", m.Channels)}
	for _, v := range []struct {
		name, unit string
		x          *float64
	}{{"peak", "dB", m.Peak}, {"rms", "dB", m.RMS}, {"loudness", "LUFS", m.LUFS}, {"pitch", "Hz", m.Pitch}} {
		if v.x == nil {
			words = append(words, v.name+" none")
		} else {
			words = append(words, fmt.Sprintf("%s %.1f %s", v.name, *v.x, v.unit))
		}
	}
	return strings.Join(words, "  ")
}
