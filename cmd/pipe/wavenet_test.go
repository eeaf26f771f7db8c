package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/audio"
)

// TestWaveNetLearns checks that recipes/wavenet.cue learns from recordings, by weights that are written
// by their lengths, and that the pipeline speaks with the folder that it leaves: the same for a seed.
func TestWaveNetLearns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := audio.Clip{Rate: 22050, Channels: 1}
	for n := range 11025 { // a tone that swells
		s := float64(n) / 22050
		c.Samples = append(c.Samples, float32((0.5+0.4*math.Sin(9*s))*math.Sin(2*math.Pi*880*s)))
	}
	recording := filepath.Join(dir, "0.wav")
	if _, err := audio.Write(recording, &c, 16); err != nil {
		t.Fatal(err)
	}
	var small []string
	for _, s := range []string{"settings.recordings=" + recording, "settings.samples=256", "settings.n_fft=64", "settings.mels=8", "settings.scales=[4,4]", "settings.layers=4", "settings.stacks=1",
		"settings.channels=16", "settings.gates=16", "settings.skips=16", "batch.batch=2", "train.log_every=1", "train.steps=150", "optimizer.lr=5e-3", "schedule.warmup_steps=0", "ema.decay=0.9",
		`norms=[{pattern: "*conv*", norm: "weight"}]`} {
		small = append(small, "--set", s)
	}
	r := train(t, "../../recipes/wavenet.cue", t.TempDir(), small...)
	rows := metrics(t, r.Run)
	mean := func(rows []map[string]any) (sum float64) {
		for _, row := range rows {
			sum += row["loss"].(float64) / float64(len(rows))
		}
		return sum
	}
	first, last := mean(rows[:5]), mean(rows[len(rows)-10:])
	t.Logf("the loss falls from %v to %v nats a sample", first, last)
	if !(last < 0.85*first) || first > 7 {
		t.Errorf("the loss falls from %v to %v nats a sample", first, last)
	}
	var said [][]float32
	for i, seed := range []int{1, 1, 2} {
		to := filepath.Join(dir, fmt.Sprint("said", i, ".wav"))
		args := []string{"run", "../../pipelines/wavenet.cue", "--quiet", "--set", "model=" + filepath.Join(r.Model, "wavenet"), "--set", "audio=" + recording, "--set", "to=" + to,
			"--set", "n_fft=64", "--set", "hop=16", "--set", "mels=8", "--set", fmt.Sprint("seed=", seed)}
		if code, out, errs := pipeCommand(args...); code != 0 {
			t.Fatalf("exit code %d: %s%s", code, out, errs)
		}
		made, err := audio.Read(to, audio.Options{})
		if err != nil || made.Rate != 22050 || made.Len() != 690*16 {
			t.Fatalf("%v: %v", err, made)
		}
		said = append(said, made.Samples)
	}
	if !slices.Equal(said[0], said[1]) || slices.Equal(said[0], said[2]) {
		t.Error("a seed does not say the same again, or another one does")
	}
}

// TestWaveNetMistakes checks what is told of settings and inputs that do not go together.
func TestWaveNetMistakes(t *testing.T) {
	t.Parallel()
	const model = "model=../../testdata/golden/speech/wavenet/model"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"../../recipes/wavenet.cue", "--set", "settings.samples=1000"}, "settings.samples is 1000, and a frame of the spectrogram has 256, the product of settings.scales; 768 would do"},
		{[]string{"../../recipes/wavenet.cue", "--set", "settings.stacks=3"}, "settings.layers is 20, which is no multiple of settings.stacks, 3"},
		{[]string{"../../recipes/wavenet.cue", "--set", `norms=[{pattern: "*.cnv", norm: "weight"}]`}, `"*.cnv" matches no weight that is trained`},
		{[]string{"../../pipelines/wavenet.cue", "--set", model}, "neither a spectrogram nor a recording (audio) is given"},
	} {
		code, _, errs := pipeCommand(append([]string{"check"}, c.args...)...)
		if code != 3 || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") > 3 {
			t.Errorf("%v: exit code %d: %s, want %s", c.args, code, errs, c.want)
		}
	}
}
