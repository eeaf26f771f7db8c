package stage

import (
	"context"
	"fmt"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

// AudioReadAttr describes how files become sound.
type AudioReadAttr struct {
	Rate       int  `cue:"rate: int & >=0 | *0" doc:"samples a second that are wanted, Hz: sound of another rate is resampled. 0 leaves it"`
	Mono       bool `cue:"mono: bool | *true" doc:"channels become one, their mean"`
	MaxSamples int  `cue:"max_samples: int & >0 | *268435456" doc:"a file with more, of all channels together, is refused"`
}

func audioRead() *Def {
	return &Def{
		Name: "audio.read", Title: "AudioRead", Result: Audio, Early: true,
		Doc:   "reads sound from WAV, FLAC and MP3 files.",
		Ports: []Port{{Name: "path", Doc: "the file, or a list of files", Kinds: []Kind{Text, List}}},
		Attr:  AudioReadAttr{},
		Run: func(ctx context.Context, c *Call) (Value, error) {
			paths, err := texts("path", c.In["path"])
			if err != nil {
				return nil, err
			}
			a := c.Attr.(AudioReadAttr)
			var list []*audio.Clip
			for _, path := range paths {
				clip, err := audio.Read(path, audio.Options{Samples: a.MaxSamples})
				if err != nil {
					return nil, err
				}
				if a.Mono {
					clip = clip.Mono()
				}
				if a.Rate != 0 {
					if clip, err = clip.Resample(a.Rate); err != nil {
						return nil, checkpoint.FileError(path, err)
					}
				}
				list = append(list, clip)
				if err := ctx.Err(); err != nil {
					return nil, err
				}
			}
			return list, nil
		},
	}
}

// AudioTensorAttr describes the length of signals.
type AudioTensorAttr struct {
	Samples  int `cue:"samples: int & >=0 | *0" doc:"what all clips become: the middle of longer ones, shorter ones with silence behind; 0 leaves clips of one length as they are"`
	Multiple int `cue:"multiple: int & >0 | *1" doc:"silence fills clips up to a multiple of so many samples"`
}

// of is a clip of the length that is wanted.
func (a AudioTensorAttr) of(c *audio.Clip) *audio.Clip {
	c = ofLength(c, a.Samples)
	return ofLength(c, (c.Len()+a.Multiple-1)/a.Multiple*a.Multiple)
}

// ofLength is a clip of so many samples of each channel.
func ofLength(c *audio.Clip, n int) *audio.Clip {
	if n == 0 || c.Len() == n {
		return c
	}
	out := &audio.Clip{Rate: c.Rate, Channels: c.Channels, Samples: make([]float32, n*c.Channels)}
	copy(out.Samples, c.Samples[max(0, c.Len()-n)/2*c.Channels:])
	return out
}

func audioTensor() *Def {
	return &Def{
		Name: "audio.tensor", Title: "AudioTensor", Result: Tensor, Early: true,
		Doc:   "turns sound of one length into a tensor of f32, [clips, samples]; of clips with several channels, [clips, channels, samples].",
		Ports: []Port{{Name: "x", Doc: "the sound", Kinds: []Kind{Audio}}},
		Attr:  AudioTensorAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			list, ok := c.In["x"].([]*audio.Clip)
			if !ok {
				return nil, errKind(c.In["x"], Audio)
			}
			a := c.Attr.(AudioTensorAttr)
			first := a.of(list[0])
			var all []float32
			for i, clip := range list {
				clip = a.of(clip)
				if clip.Len() != first.Len() || clip.Channels != first.Channels || clip.Rate != first.Rate {
					return nil, fmt.Errorf("x[%d] is %v with %d samples, and x[0] is %v with %d: they are no tensor", i, clip, clip.Len(), first, first.Len())
				}
				for ch := range clip.Channels {
					all = append(all, clip.Channel(ch)...)
				}
			}
			if first.Channels == 1 {
				return tensorfile.FromFloat32s(c.ID, all, len(list), first.Len()), nil
			}
			return tensorfile.FromFloat32s(c.ID, all, len(list), first.Channels, first.Len()), nil
		},
	}
}
