package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"pipe.dev/executor/tensorfile/tensortest"
)

// TestVoice has the voice in models/voice, the default of pipelines/tts.cue, say three
// sentences that it never heard: each lasts as long as espeak-ng's own reading, as
// recipes/voice/corpus.py recorded it, and is nearer to it than to the readings of others.
func TestVoice(t *testing.T) {
	t.Chdir("../..")
	const golden = "testdata/golden/voice/"
	texts := map[string]string{
		"care":  "I don't care if it does affect it.",
		"house": "And I left the house of Red Shirt.",
		"milky": "The solitary milky way hung high in the sky.",
	}
	dir := t.TempDir()
	spoken, read := map[string][][]float64{}, map[string][][]float64{}
	for name, text := range texts {
		wav := filepath.Join(dir, name+".wav")
		if code, out, errs := pipeCommand("run", "pipelines/tts.cue", "--quiet", "--set", "text="+text, "--set", "to="+wav); code != 0 {
			t.Fatalf("exit code %d: %s%s", code, out, errs)
		}
		spoken[name], read[name] = bands(t, dir, wav), bands(t, dir, golden+name+".flac")
	}
	for name, made := range spoken {
		own := apart(made, read[name])
		if long := float64(len(made)) / float64(len(read[name])); long < 0.9 || long > 1.1 {
			t.Errorf("%s lasts %d frames, espeak's reading %d", name, len(made), len(read[name]))
		}
		for other, bands := range read {
			if d := apart(made, bands); other != name && d < 1.5*own {
				t.Errorf("%s is %.2f from its own reading, %.2f from that of %s", name, own, d, other)
			}
		}
		t.Logf("%s is %.2f from espeak's reading, in logarithms of bands", name, own)
	}
	size := int64(0)
	for _, part := range []string{"acoustic", "vocoder"} {
		info, err := os.Stat("models/voice/" + part + "/model.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size >= 10e6 {
		t.Errorf("the weights take %d bytes, and were to stay below 10 MB", size)
	}
}

// bands are the frames of a recording's log-mel spectrogram.
func bands(t *testing.T, dir, wav string) (frames [][]float64) {
	t.Helper()
	out := filepath.Join(dir, filepath.Base(wav)+".npz")
	if code, said, errs := pipeCommand("run", "pipelines/features.cue", "--quiet", "--set", "audio="+wav, "--set", "mels=40", "--out", out); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, said, errs)
	}
	for _, x := range tensortest.Read(t, out) {
		values, sizes := x.Float64s(), x.Type.Sizes()
		for f := range sizes[2] {
			frame := make([]float64, sizes[1])
			for b := range frame {
				frame[b] = max(values[b*sizes[2]+f], math.Log(1e-5)) // below is silence
			}
			frames = append(frames, frame)
		}
	}
	return frames
}

// apart is the mean distance of bands, of frames laid beside each other by dynamic time warping.
func apart(a, b [][]float64) float64 {
	sums, steps := make([][]float64, len(a)), make([][]float64, len(a))
	for i := range a {
		sums[i], steps[i] = make([]float64, len(b)), make([]float64, len(b))
		for j := range b {
			d := 0.0
			for k := range a[i] {
				d += math.Abs(a[i][k]-b[j][k]) / float64(len(a[i]))
			}
			best, n := 0.0, 0.0
			if i > 0 || j > 0 {
				best = math.Inf(1)
			}
			for _, from := range [][2]int{{i - 1, j - 1}, {i - 1, j}, {i, j - 1}} {
				if from[0] >= 0 && from[1] >= 0 && sums[from[0]][from[1]] < best {
					best, n = sums[from[0]][from[1]], steps[from[0]][from[1]]
				}
			}
			sums[i][j], steps[i][j] = best+d, n+1
		}
	}
	last := len(b) - 1
	return sums[len(a)-1][last] / steps[len(a)-1][last]
}
