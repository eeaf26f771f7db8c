package stage

import (
	"context"
	"errors"
	"fmt"

	"pipe.dev/executor/audio"
)

// AudioWriteAttr describes how sound becomes files.
type AudioWriteAttr struct {
	Rate  int     `cue:"rate: int & >=0 | *0" doc:"samples a second, Hz; 0 is what the model's config.json says (sampling_rate)"`
	Bits  int     `cue:"bits: 0 | 16 | 24 | 32 | *16" doc:"of a sample; 0 writes floats"`
	Pause float64 `cue:"pause: number & >=0 & <=60 | *0" doc:"seconds of silence between the sounds of the elements that the stage sentences gives"`
}

func audioWrite() *Def {
	return &Def{
		Name: "audio.write", Title: "AudioWrite", Result: Text, Flows: true, Gathers: true,
		Doc: "writes sound to WAV files; of several clips, -0, -1 and so on stands before the extension. A file is whole or not there; the file \"-\", which is standard output, and pipes get sound while it is made. What is beyond -1 and 1 is cut off, which is told. Its text is the names of the files, one a line.",
		Ports: []Port{
			{Name: "x", Doc: "[clips, samples] or [clips, channels, samples], alone or the only result of a model; or sound", Kinds: []Kind{Tensor, Tensors, Audio}},
			{Name: "path", Doc: "the file, .wav or \"-\"; folders are made", Kinds: []Kind{Text}},
			{Name: "model", Doc: "the model that made it", Kinds: []Kind{Model}, Optional: true},
		},
		Attr: AudioWriteAttr{},
		Prepare: func(c *Call) error {
			if path, ok := c.In["path"].(string); ok {
				if err := c.writes(path); err != nil {
					return err
				}
			}
			if _, ok := c.In["x"].([]*audio.Clip); ok {
				return nil
			}
			_, err := c.rate(c.Attr.(AudioWriteAttr).Rate)
			return err
		},
		Run: runAudioWrite,
	}
}

// rate is what the document says, or else the model at the port of that name.
func (c *Call) rate(rate int) (int, error) {
	if rate > 0 {
		return rate, nil
	}
	m := c.Model("model")
	if m == nil {
		return 0, fmt.Errorf("rate is 0, and there is no model to say it: set rate, or model")
	}
	if rate = m.Rate(); rate == 0 {
		return 0, fmt.Errorf("rate is 0, and the config of %s has no sampling_rate: set rate", m.Dir())
	}
	return rate, nil
}

func runAudioWrite(ctx context.Context, c *Call) (Value, error) {
	a := c.Attr.(AudioWriteAttr)
	rate := 0
	if _, ok := c.In["x"].([]*audio.Clip); !ok {
		var err error
		if rate, err = c.rate(a.Rate); err != nil {
			return nil, err
		}
	}
	list, err := soundsOf(c.In["x"], rate, a.Pause)
	if err != nil {
		return nil, err
	}
	paths, err := texts("path", c.In["path"])
	if err != nil {
		return nil, err
	}
	w := &soundWriter{call: c, bits: a.Bits}
	if to, done, err := w.stream(paths[0]); to != nil || err != nil {
		if err == nil && len(list) > 1 {
			err = fmt.Errorf("%s takes one clip, and there are %d", paths[0], len(list))
		}
		if err == nil {
			err = w.pour(ctx, to, list[0])
		}
		if err = errors.Join(err, done()); err != nil {
			return nil, err
		}
		w.told(paths[0])
		return paths[0], nil
	}
	return w.files(ctx, paths[0], list)
}
