package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"pipe.dev/executor/tensorfile"
)

// SegmentsAttr describes how probabilities of frames become parts of a signal.
type SegmentsAttr struct {
	Frame     float64 `cue:"frame!: number & >0" doc:"how long a frame is, seconds"`
	Threshold float64 `cue:"threshold: number & >0 & <1 | *0.5" doc:"a part begins at this probability"`
	Release   float64 `cue:"release: number & >=0 & <1 | *0.35" doc:"it ends below this one"`
	Least     float64 `cue:"least: number & >=0 | *0.25" doc:"shorter parts are left out, seconds"`
	Silence   float64 `cue:"silence: number & >=0 | *0.1" doc:"shorter pauses end no part, seconds"`
	Pad       float64 `cue:"pad: number & >=0 | *0.03" doc:"what is added at both ends of a part, seconds, as far as there is room"`
	JSON      bool    `cue:"json: bool | *false" doc:"write a list of objects with start and end, in seconds"`
}

func segments() *Def {
	return &Def{
		Name: "segments", Title: "Segments", Result: Text,
		Doc:   "says where in a signal something is, such as speech, by its probability in each frame; a line with start and end in seconds for each part.",
		Ports: []Port{{Name: "x", Doc: "probabilities, [1, frames] or [1, frames, 1]", Kinds: []Kind{Tensor}}},
		Attr:  SegmentsAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			x, ok := c.In["x"].(tensorfile.Tensor)
			if !ok {
				return nil, errKind(c.In["x"], Tensor)
			}
			if s := x.Type.Sizes(); len(s) < 2 || size(s) != s[1] {
				return nil, fmt.Errorf("x is %v, want [1, frames]", x.Type)
			}
			a := c.Attr.(SegmentsAttr)
			list := a.find(x.Float32s())
			if a.JSON {
				text, err := json.Marshal(list)
				return string(text), err
			}
			var lines []string
			for _, s := range list {
				lines = append(lines, fmt.Sprintf("%.3f\t%.3f", s.Start, s.End))
			}
			return strings.Join(lines, "\n"), nil
		},
	}
}

// segment is a part of a signal, in seconds.
type segment struct {
	Start float64 `json:"start"`
	End   float64 `json:"end"`
}

// find joins frames to parts.
func (a SegmentsAttr) find(p []float32) []segment {
	list := []segment{}
	inside, quiet := false, -1 // the frame since which it is below Release
	begin := 0
	end := func(frame int) {
		if float64(frame-begin)*a.Frame >= a.Least {
			list = append(list, segment{float64(begin) * a.Frame, float64(frame) * a.Frame})
		}
		inside, quiet = false, -1
	}
	for i, v := range p {
		switch {
		case float64(v) >= a.Threshold:
			if !inside {
				inside, begin = true, i
			}
			quiet = -1
		case inside && float64(v) < a.Release:
			if quiet < 0 {
				quiet = i
			}
			if float64(i+1-quiet)*a.Frame >= a.Silence {
				end(quiet)
			}
		}
	}
	if inside {
		end(len(p))
	}
	return a.padded(list, float64(len(p))*a.Frame)
}

// padded widens parts; between two there is room for half the pause each.
func (a SegmentsAttr) padded(list []segment, length float64) []segment {
	out := make([]segment, len(list))
	for i, s := range list {
		before, after := s.Start, length-s.End
		if i > 0 {
			before = (s.Start - list[i-1].End) / 2
		}
		if i+1 < len(list) {
			after = (list[i+1].Start - s.End) / 2
		}
		round := func(v float64) float64 { return math.Round(v*1e6) / 1e6 }
		out[i] = segment{round(s.Start - min(a.Pad, before)), round(s.End + min(a.Pad, after))}
	}
	return out
}
