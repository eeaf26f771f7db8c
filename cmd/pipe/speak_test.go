package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// TestSpeak makes speech of phonemes, as long as the model says: the spectrogram is that
// of the reference, and the sound has as many samples as it takes.
func TestSpeak(t *testing.T) {
	t.Parallel()
	const folder = "../../testdata/golden/speech/"
	values := tensortest.Read(t, folder+"fastspeech2/values.safetensors")
	dir := t.TempDir()
	ids, wav, mel := filepath.Join(dir, "ids.npy"), filepath.Join(dir, "speech.wav"), filepath.Join(dir, "out")
	if err := tensorfile.Write(ids, []tensorfile.Tensor{values["in.ids"]}); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "../../pipelines/speak.cue", "--quiet", "--set", "model=" + folder + "fastspeech2/model", "--set", "vocoder=" + folder + "hifigan/model",
		"--set", "ids=" + ids, "--set", "to=" + wav}
	if code, _, errs := pipeCommand(append(args, "--set", "frames=100", "--out", mel+".npz")...); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	want := values["out.spectrogram"]
	var got tensorfile.Tensor
	for _, v := range tensortest.Read(t, mel+".npz") {
		got = v
	}
	if fmt.Sprint(got.Type.Sizes()) != fmt.Sprint(want.Type.Sizes()) {
		t.Fatalf("the spectrogram is %v, want %v", got.Type, want.Type)
	}
	for i, w := range want.Float64s() {
		if d := math.Abs(got.Float64s()[i] - w); !(d <= 1e-4) {
			t.Fatalf("element %d is off by %v", i, d)
		}
	}
	clip, err := audio.Read(wav, audio.Options{})
	if err != nil || clip.Len() != 8*want.Type.Sizes()[1] {
		t.Error(err, clip)
	}
	if code, _, errs := pipeCommand(append(args, "--set", "stretch=3")...); code != 0 {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if slow, err := audio.Read(wav, audio.Options{}); err != nil || slow.Len() != 3*clip.Len() {
		t.Error(err, slow)
	}
	if code, _, errs := pipeCommand(append(args, "--set", "frames=3")...); code == 0 || !strings.Contains(errs, "x takes more than 3 places") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// TestSpeakDrawn makes speech by one model: a seed gives the same samples for any number
// of threads, and another one other samples.
func TestSpeakDrawn(t *testing.T) {
	t.Parallel()
	const folder = "../../testdata/golden/speech/vits/"
	dir := t.TempDir()
	ids := filepath.Join(dir, "ids.npy")
	if err := tensorfile.Write(ids, []tensorfile.Tensor{tensortest.Read(t, folder+"values.safetensors")["in.ids"]}); err != nil {
		t.Fatal(err)
	}
	made := func(seed, threads string) []float32 {
		wav := filepath.Join(dir, seed+threads+".wav")
		if code, _, errs := pipeCommand("run", "../../pipelines/speak-drawn.cue", "--quiet", "--threads", threads, "--set", "model="+folder+"model", "--set", "ids="+ids,
			"--set", "channels=8", "--set", "seed="+seed, "--set", "to="+wav); code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		clip, err := audio.Read(wav, audio.Options{})
		if err != nil || clip.Len() == 0 || clip.Len()%8 != 0 || clip.Rate != 16000 {
			t.Fatal(err, clip)
		}
		return clip.Samples
	}
	one := made("1", "1")
	if !slices.Equal(one, made("1", "3")) {
		t.Error("one thread and three give other samples")
	}
	if slices.Equal(one, made("2", "2")) {
		t.Error("another seed gives the same samples")
	}
}
