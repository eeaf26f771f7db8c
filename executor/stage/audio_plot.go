package stage

import (
	"context"
	"fmt"
	"strings"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/image"
	"pipe.dev/executor/tensorfile"
)

// AudioPlotAttr describes pictures of sound.
type AudioPlotAttr struct {
	Width  int     `cue:"width: int & >=200 & <=16384 | *1024" doc:"of the picture, pixels"`
	Height int     `cue:"height: int & >=32 & <=4096 | *256" doc:"of the spectrogram, and of attention; the waveform has half of it"`
	NFFT   int     `cue:"n_fft: int & >=16 & <=32768 | *1024" doc:"samples of a frame"`
	Scale  string  `cue:"scale: *\"mel\" | \"hz\"" doc:"how frequencies lie: as they are heard, or evenly"`
	Range  float64 `cue:"range: number & >0 | *80" doc:"what is so many dB softer than the loudest is black"`
	Top    float64 `cue:"top: number & >=0 | *0" doc:"the highest frequency that is shown, Hz; 0 is half the rate"`
	Pitch  bool    `cue:"pitch: bool | *true" doc:"draw the pitch of frames that have a tone"`
	Method string  `cue:"method: *\"pyin\" | \"yin\"" doc:"how pitch is found: a line through all frames, or frame by frame"`
	Low    float64 `cue:"low: number & >0 | *65" doc:"the lowest pitch, Hz"`
	High   float64 `cue:"high: number & >0 | *1000" doc:"the highest pitch, Hz"`
	Rate   int     `cue:"rate: int & >=0 | *0" doc:"of tensors: samples a second, Hz; 0 is what the model's config.json says (sampling_rate)"`
}

func audioPlot() *Def {
	return &Def{
		Name: "audio.plot", Title: "AudioPlot", Result: Images, Early: true, Gathers: true,
		Doc: "draws sound: its waveform, below it its spectrogram with the pitch of its tones, and what stands at which time, if that is told; of channels their mean. Axes are in seconds and Hz.",
		Ports: []Port{
			{Name: "x", Doc: "the sound; or tensors, as audio.write takes them", Kinds: []Kind{Audio, Tensor, Tensors}},
			{Name: "model", Doc: "the model that made it", Kinds: []Kind{Model}, Optional: true},
			{Name: "places", Doc: "which of a row stands at each place in time, whole numbers [1, places], as the stage spread gives them", Kinds: []Kind{Tensor, Tensors}, Optional: true},
			{Name: "labels", Doc: "what the row is of, as phonemes: words between spaces", Kinds: []Kind{Text}, Optional: true},
			{Name: "attention", Doc: "how much each step, which lie evenly in time, looked at each of a row, [1, steps, n]", Kinds: []Kind{Tensor, Tensors}, Optional: true},
		},
		Attr: AudioPlotAttr{},
		Prepare: func(c *Call) error {
			if _, ok := c.In["x"].([]*audio.Clip); ok || c.Model("model") == nil && c.In["x"] == nil {
				return nil
			}
			_, err := c.rate(c.Attr.(AudioPlotAttr).Rate)
			return err
		},
		Run: runAudioPlot,
	}
}

func runAudioPlot(ctx context.Context, c *Call) (Value, error) {
	a := c.Attr.(AudioPlotAttr)
	clips, ends, err := c.plotted(a)
	if err != nil {
		return nil, err
	}
	times, err := c.times(ends)
	if err != nil {
		return nil, err
	}
	attention, err := c.attention()
	if err != nil {
		return nil, err
	}
	if len(clips) > 1 && (times != nil || attention != nil) {
		return nil, fmt.Errorf("x has %d clips; what stands at which time is drawn of one", len(clips))
	}
	var out []*image.Picture
	for _, clip := range clips {
		p, err := a.draw(clip.Mono(), times, attention)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// plotted are the clips to draw: of elements one, with the time at which each element ends, in seconds.
func (c *Call) plotted(a AudioPlotAttr) (clips []*audio.Clip, ends []float64, err error) {
	rate := 0
	if _, ok := c.In["x"].([]*audio.Clip); !ok {
		if rate, err = c.rate(a.Rate); err != nil {
			return nil, nil, err
		}
	}
	each, of := c.In["x"].(Each)
	if !of {
		sounds, err := soundsOf(c.In["x"], rate, 0)
		for i := 0; i < len(sounds) && err == nil; i++ {
			var clip *audio.Clip
			if clip, err = sounds[i].gather(); err == nil {
				clips = append(clips, clip)
				ends = append(ends, clip.Duration().Seconds())
			}
		}
		if err == nil && len(clips) == 0 {
			err = fmt.Errorf("x has no sound")
		}
		return clips, ends, err
	}
	var whole audio.Clip
	for v, err := range each.Values {
		var list []sound
		var clip *audio.Clip
		if err == nil {
			list, err = soundsOf(v, rate, 0)
		}
		if err == nil && len(list) != 1 {
			err = fmt.Errorf("x has %d clips for one element, want 1", len(list))
		}
		if err == nil {
			clip, err = list[0].gather()
		}
		if err != nil {
			return nil, nil, err
		}
		whole.Rate, whole.Channels = clip.Rate, clip.Channels
		whole.Samples = append(whole.Samples, clip.Samples...)
		ends = append(ends, whole.Duration().Seconds())
	}
	if len(whole.Samples) == 0 {
		return nil, nil, fmt.Errorf("x has no sound")
	}
	return []*audio.Clip{&whole}, ends, nil
}

// stretchOfTime says what stands from one time to another, in seconds.
type stretchOfTime struct {
	from, to float64
	label    string
}

// times are what stands at which time, of elements that end at the given ones.
func (c *Call) times(ends []float64) (list []stretchOfTime, err error) {
	if c.In["places"] == nil {
		return nil, nil
	}
	places, err := elementsOf(c.In["places"])
	if err != nil {
		return nil, err
	}
	labels, err := elementsOf(c.In["labels"])
	if err != nil {
		return nil, err
	}
	if len(places) != len(ends) || c.In["labels"] != nil && len(labels) != len(ends) {
		return nil, fmt.Errorf("places has %d elements and labels %d, and x has %d", len(places), len(labels), len(ends))
	}
	from := 0.0
	for i, v := range places {
		t, ok := onlyTensor(v)
		if !ok || t.Type.Rank() != 2 || t.Type.Sizes()[0] != 1 {
			return nil, fmt.Errorf("places is %s %v, want one tensor [1, places]", KindOf(v), t.Type)
		}
		var words []string
		if c.In["labels"] != nil {
			text, ok := labels[i].(string)
			if !ok {
				return nil, errKind(labels[i], Text)
			}
			words = strings.Fields(text)
		}
		row, err := t.Int32s()
		if err != nil {
			return nil, err
		}
		per := (ends[i] - from) / float64(len(row))
		for at := 0; at < len(row); {
			n := 1
			for at+n < len(row) && row[at+n] == row[at] {
				n++
			}
			s := stretchOfTime{from: from + float64(at)*per, to: from + float64(at+n)*per, label: fmt.Sprint(row[at])}
			if words != nil {
				if int(row[at]) < 0 || int(row[at]) >= len(words) {
					return nil, fmt.Errorf("places names %d, and labels has %d words", row[at], len(words))
				}
				s.label = words[row[at]]
			}
			list = append(list, s)
			at += n
		}
		from = ends[i]
	}
	return list, nil
}

// attention is what is drawn of the port of that name: a matrix [steps, n], or nil.
func (c *Call) attention() ([][]float32, error) {
	if c.In["attention"] == nil {
		return nil, nil
	}
	t, ok := onlyTensor(c.In["attention"])
	if !ok || t.Type.Rank() != 3 || t.Type.Sizes()[0] != 1 || t.Type.Elems() == 0 {
		return nil, fmt.Errorf("attention is %s %v, want one tensor [1, steps, n]", KindOf(c.In["attention"]), t.Type)
	}
	n := t.Type.Sizes()[2]
	var rows [][]float32
	for all := t.Float32s(); len(all) > 0; all = all[n:] {
		rows = append(rows, all[:n])
	}
	return rows, nil
}

// elementsOf are the values of elements; of another value it alone.
func elementsOf(v Value) (list []Value, err error) {
	each, ok := v.(Each)
	if !ok {
		return []Value{v}, nil
	}
	for v, err := range each.Values {
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// onlyTensor is a tensor alone, or the only one of several.
func onlyTensor(v Value) (tensorfile.Tensor, bool) {
	if list, ok := v.([]tensorfile.Tensor); ok && len(list) == 1 {
		return list[0], true
	}
	t, ok := v.(tensorfile.Tensor)
	return t, ok
}
