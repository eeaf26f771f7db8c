package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/audio"
	"pipe.dev/executor/journal"
	"pipe.dev/executor/tensorfile"
)

// TestFastSpeech2Recipe checks that a voice learns of recordings and of lists in their metadata, each as long as it is, and that
// pipelines/speak.cue reads the folder that the run leaves.
func TestFastSpeech2Recipe(t *testing.T) {
	t.Parallel()
	corpus := toneCorpus(t)
	flags := []string{"--set", "settings.corpus=" + corpus, "--set", "settings.phonemes=6", "--set", "settings.lengths=[1280, 2560]", "--set", "settings.width=8",
		"--set", "settings.layers=1", "--set", "settings.inner=32", "--set", "settings.mels=6", "--set", "settings.symbols=5", "--set", "data.train.0.validation=0", "--set", "batch.batch=2",
		"--set", "train.steps=20", "--set", "train.log_every=1", "--set", "schedule.warmup_steps=0", "--set", "optimizer.lr=0.01", "--set", "eval.every=0"}
	r := train(t, "../../recipes/fastspeech2.cue", t.TempDir(), flags...)
	metrics, err := journal.ReadMetrics(r.Run)
	if err != nil || len(metrics) != 20 {
		t.Fatal(err, len(metrics))
	}
	first, last := metrics[0].Values, metrics[19].Values
	for _, name := range []string{"after", "durations", "pitch", "energy"} {
		if name = "loss/voice/" + name; !(last[name] < 0.7*first[name]) {
			t.Errorf("%s is %v at first, and %v in the end", name, first[name], last[name])
		}
	}

	was, errA := os.ReadFile(filepath.Join(corpus, "vocab.json"))
	is, errB := os.ReadFile(filepath.Join(r.Run, "model", "acoustic", "vocab.json"))
	if errA != nil || errB != nil || !bytes.Equal(is, was) {
		t.Errorf("%v %v: beside the model stands the vocabulary %q, want %q", errA, errB, is, was)
	}
	code, _, told := pipeCommand(append([]string{"check", "../../recipes/fastspeech2.cue", "--set", `save.models.acoustic.vocabularies=["idz"]`}, flags...)...)
	if want := `"idz" has no vocabulary in data.lists`; code == 0 || !strings.Contains(told, want) {
		t.Errorf("exit code %d: %s, want %s", code, told, want)
	}

	dir := t.TempDir()
	ids, wav := filepath.Join(dir, "ids.npy"), filepath.Join(dir, "speech.wav")
	if err := tensorfile.Write(ids, []tensorfile.Tensor{{Name: "ids", Type: ir.Type{DType: ir.I32, Shape: []ir.Dim{ir.D(1), ir.D(4)}}, Data: []byte{1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0}}}); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := pipeCommand("run", "../../pipelines/speak.cue", "--quiet", "--set", "model="+filepath.Join(r.Run, "model", "acoustic"),
		"--set", "vocoder=../../testdata/golden/speech/hifigan/model", "--set", "ids="+ids, "--set", "to="+wav); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	if clip, err := audio.Read(wav, audio.Options{}); err != nil || clip.Len() < 8*4 || clip.Len() > 8*20 {
		t.Error(err, clip)
	}
}

// toneCorpus writes a corpus of four sentences, said by two speakers in turn: A is a tone of 500 Hz, B one of 2000 Hz, what else
// there is silence; each lasts 512 or 768 samples.
func toneCorpus(t *testing.T) string {
	t.Helper()
	corpus := t.TempDir()
	meta, err := os.Create(filepath.Join(corpus, "metadata.csv"))
	if err != nil {
		t.Fatal(err)
	}
	w := csv.NewWriter(meta)
	rows := [][]string{{"file_name", "phonemes", "durations", "pitch", "speaker"}}
	for i, said := range []string{"A B", "B _ A .", "A", "B A B"} {
		c := &audio.Clip{Rate: 22050, Channels: 1}
		var lasting, pitch []string
		for k, p := range strings.Fields(said) {
			lasting, pitch = append(lasting, fmt.Sprint(2+k%2)), append(pitch, "0.5")
			for range 256 * (2 + k%2) {
				f := map[string]float64{"A": 500, "B": 2000}[p]
				c.Samples = append(c.Samples, float32(0.5*math.Sin(2*math.Pi*f*float64(len(c.Samples))/22050)))
			}
		}
		name := fmt.Sprint(i, ".wav")
		if _, err := audio.Write(filepath.Join(corpus, name), c, 0); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, []string{name, said, strings.Join(lasting, " "), strings.Join(pitch, " "), fmt.Sprint(i % 2)})
	}
	if err := w.WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	if err := meta.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(corpus, "vocab.json"), []byte(`{"<blank>": 0, "A": 1, "B": 2, "_": 3, ".": 4}`), 0o644); err != nil {
		t.Fatal(err)
	}
	return corpus
}
