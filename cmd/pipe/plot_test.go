package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/image"
)

// TestPlot draws what pipelines hear and say: the same sound as without, and a picture with a row for
// what stands when, where that is known.
func TestPlot(t *testing.T) {
	t.Parallel()
	const folder = "../../testdata/golden/speech/"
	dir := t.TempDir()
	vocabulary := filepath.Join(dir, "vocab.json")
	if err := os.WriteFile(vocabulary, []byte(`{"<blank>": 0, "_": 1, "TH": 2, "R": 3, "IY1": 4, "K": 5, "AE1": 6, "T": 7, "S": 8, ".": 9}`), 0o644); err != nil {
		t.Fatal(err)
	}
	wav, plain := filepath.Join(dir, "tts.wav"), filepath.Join(dir, "plain.wav")
	tts := []string{"run", "../../pipelines/tts.cue", "--quiet", "--set", "text=Three cats. Cats.", "--set", "vocabulary=" + vocabulary,
		"--set", "model=" + folder + "fastspeech2/model", "--set", "vocoder=" + folder + "hifigan/model"}
	if code, _, errs := pipeCommand(append(tts, "--set", "to="+plain)...); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for name, c := range map[string]struct {
		args []string
		high int
	}{
		"spoken": {append(tts, "--set", "to="+wav), 8 + 128 + 10 + 256 + 10 + 22 + 24},
		"heard":  {[]string{"run", "../../pipelines/features.cue", "--quiet", "--set", "audio=" + plain, "--out", filepath.Join(dir, "mel.npz")}, 8 + 128 + 10 + 256 + 24},
	} {
		file := filepath.Join(dir, name+".png")
		if code, _, errs := pipeCommand(append(c.args, "--plot", file)...); code != 0 {
			t.Fatalf("%s: exit code %d: %s", name, code, errs)
		}
		p, err := image.Read(file, image.Options{})
		if err != nil || p.Width != 1024 || p.Height != c.high {
			t.Errorf("%s: %v, %d x %d, want 1024 x %d", name, err, p.Width, p.Height, c.high)
		}
	}
	a, errA := os.ReadFile(wav)
	b, errB := os.ReadFile(plain)
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("%v %v: the sound is another one where it is drawn", errA, errB)
	}
	if code, _, errs := pipeCommand("run", "../../pipelines/chat.cue", "--set", "model=none", "--set", "messages=none", "--plot", "x.png"); code != 2 || !strings.Contains(errs, "--plot: ../../pipelines/chat.cue draws no sound: it has no input plot") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
