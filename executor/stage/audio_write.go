package stage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

// AudioWriteAttr describes how sound becomes files.
type AudioWriteAttr struct {
	Rate int `cue:"rate: int & >=0 | *0" doc:"samples a second, Hz; 0 is what the model's config.json says (sampling_rate)"`
	Bits int `cue:"bits: 0 | 16 | 24 | 32 | *16" doc:"of a sample; 0 writes floats"`
}

func audioWrite() *Def {
	return &Def{
		Name: "audio.write", Title: "AudioWrite", Result: Text,
		Doc: "writes sound to WAV files; of several clips, -0, -1 and so on stands before the extension. What is beyond -1 and 1 is cut off, which is told. Its text is the names of the files, one a line.",
		Ports: []Port{
			{Name: "x", Doc: "[clips, samples] or [clips, channels, samples], alone or the only result of a model; or sound", Kinds: []Kind{Tensor, Tensors, Audio}},
			{Name: "path", Doc: "the file; folders are made", Kinds: []Kind{Text}},
			{Name: "model", Doc: "the model that made it", Kinds: []Kind{Model}, Optional: true},
		},
		Attr: AudioWriteAttr{},
		Prepare: func(c *Call) error {
			if path, ok := c.In["path"].(string); ok {
				if err := audio.Writes(path); err != nil {
					return fmt.Errorf("path is %q: %w", path, err)
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
	list, ok := c.In["x"].([]*audio.Clip)
	if !ok {
		rate, err := c.rate(a.Rate)
		if err == nil {
			list, err = clipsOf(c.In["x"], rate)
		}
		if err != nil {
			return nil, err
		}
	}
	paths, err := texts("path", c.In["path"])
	if err != nil {
		return nil, err
	}
	path := paths[0]
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	names := make([]string, len(list))
	for i, clip := range list {
		if names[i] = path; len(list) > 1 {
			ext := filepath.Ext(path)
			names[i] = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, ext), i, ext)
		}
		clipped, err := audio.Write(names[i], clip, a.Bits)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if clipped > 0 && c.Warn != nil {
			c.Warn(fmt.Errorf("%s: %d of %d samples were beyond -1 and 1, and are cut off", names[i], clipped, len(clip.Samples)))
		}
	}
	return strings.Join(names, "\n"), nil
}

// clipsOf takes sound out of a tensor.
func clipsOf(v Value, rate int) ([]*audio.Clip, error) {
	x, ok := v.(tensorfile.Tensor)
	if list, many := v.([]tensorfile.Tensor); many && len(list) == 1 {
		x, ok = list[0], true
	}
	if !ok {
		return nil, fmt.Errorf("x is %s, want one tensor: the stage pick takes one of several", KindOf(v))
	}
	sizes := x.Type.Sizes()
	channels := 1
	switch {
	case len(sizes) == 3:
		channels = sizes[1]
	case len(sizes) != 2:
		return nil, fmt.Errorf("x is %v, want [clips, samples] or [clips, channels, samples]", x.Type)
	}
	samples, n := x.Float32s(), sizes[len(sizes)-1]
	var list []*audio.Clip
	for i := range sizes[0] {
		clip := &audio.Clip{Rate: rate, Channels: channels, Samples: make([]float32, channels*n)}
		for ch := range channels {
			for t, s := range samples[(i*channels+ch)*n:][:n] {
				clip.Samples[t*channels+ch] = s
			}
		}
		list = append(list, clip)
	}
	return list, nil
}
