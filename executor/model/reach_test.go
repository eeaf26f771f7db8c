package model

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
)

// TestReach changes a frame that vocoders read: what they give changes as far around it as the graph
// says, no less and no more.
func TestReach(t *testing.T) {
	t.Parallel()
	const frames, at = 80, 40
	for name, bins := range map[string]int{"hifigan": 6, "hifigan_normed": 6, "hifigan_reference": 6} {
		m, _ := open(t, "../../testdata/golden/speech/"+name+"/model", 2, "")
		wants, err := m.Inputs()
		if err != nil {
			t.Fatal(err)
		}
		shape := wants["spectrogram"].Bind(map[string]int{"batch": 1, "frames": frames}).Sizes()
		before, after, err := m.Reach("frames", nil, nil, "spectrogram")
		if err != nil || before < 3 || after < 3 {
			t.Fatalf("%s: %d %d %v", name, before, after, err)
		}
		p, err := m.Call(map[string]int{"batch": 1, "frames": frames}, nil, nil, "spectrogram")
		if err == nil {
			err = m.Load(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, frames*bins)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		call := func() []float32 {
			out, err := m.Run(context.Background(), p, map[string]tensorfile.Tensor{"spectrogram": tensorfile.FromFloat32s("spectrogram", x, shape...)})
			if err != nil {
				t.Fatal(err)
			}
			return out[0].Float32s()
		}
		was := call()
		for i := range x {
			if frame := i / bins; shape[1] == frames && frame == at || shape[2] == frames && i%frames == at {
				x[i] += 3
			}
		}
		var changed []int
		now := call()
		for i, v := range now {
			if v != was[i] {
				changed = append(changed, i*frames/len(now))
			}
		}
		if first, last := slices.Min(changed), slices.Max(changed); first != at-after || last != at+before {
			t.Errorf("%s: frames %d to %d change; the reach is %d before and %d after", name, first, last, before, after)
		}
	}
	m, _ := open(t, "../../testdata/golden/speech/fastspeech2/model", 2, "")
	if _, _, err := m.Reach("frames", []string{"spectrogram"}, nil, "ids", "places"); err == nil || !strings.Contains(err.Error(), "depends on all of frames") {
		t.Errorf("attention looks at all: %v", err)
	}
	if _, _, err := m.Reach("frame", []string{"spectrogram"}, nil, "ids", "places"); err == nil || !strings.Contains(err.Error(), "no whole number of frame ") {
		t.Errorf("there is no such size: %v", err)
	}
}
