package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/audio"
	"pipe.dev/executor/journal"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// TestVitsRecipe checks that a voice of two speakers learns from recordings and phonemes alone, and that pipelines speak with
// the folder that the run leaves, find phonemes with it, and have one speaker say what the other said.
func TestVitsRecipe(t *testing.T) {
	t.Parallel()
	corpus := toneCorpus(t)
	var flags []string
	for _, set := range []string{"settings.corpus=" + corpus, "settings.speakers=2", "settings.phonemes=6", "settings.lengths=[1536, 3072]", "settings.n_fft=64", "settings.mels=6", "settings.symbols=5",
		"settings.width=8", "settings.layers=1", "settings.deep=2", "settings.channels=8", "settings.rates=[4,4]", "settings.block_kernels=[3]", "settings.segment=16", "settings.periods=[2,3]",
		"settings.widths=[2,4]", "settings.convs=[{channels: 4, kernel: 5, stride: 1, groups: 1}, {channels: 4, kernel: 7, stride: 2, groups: 2}]",
		"data.train.0.validation=0", "batch.batch=2", "train.steps=20", "train.log_every=1", "optimizer.lr=0.005"} {
		flags = append(flags, "--set", set)
	}
	r := train(t, "../../recipes/vits.cue", t.TempDir(), flags...)
	metrics, err := journal.ReadMetrics(r.Run)
	if err != nil || len(metrics) != 20 {
		t.Fatal(err, len(metrics))
	}
	for _, name := range []string{"mel", "divergence", "durations"} {
		first, last := 0.0, 0.0 // means of four steps, since pieces and noise differ
		for i := range 4 {
			first, last = first+metrics[i].Values["loss/speech/"+name]/4, last+metrics[16+i].Values["loss/speech/"+name]/4
		}
		if !(last < first) || math.IsNaN(first) {
			t.Errorf("%s is %v at first, and %v in the end", name, first, last)
		}
	}

	dir, folder := t.TempDir(), filepath.Join(r.Run, "model", "speech")
	run := func(pipeline string, set ...string) {
		t.Helper()
		args := []string{"run", "../../pipelines/" + pipeline, "--quiet", "--set", "model=" + folder}
		for _, s := range set {
			args = append(args, "--set", s)
		}
		if strings.HasPrefix(pipeline, "align") {
			args = append(args, "--out", filepath.Join(dir, "aligned.npz"))
		}
		if code, _, errs := pipeCommand(args...); code != 0 {
			t.Fatalf("%s: exit code %d: %s", pipeline, code, errs)
		}
	}
	recording := filepath.Join(corpus, "1.wav") // B _ A ., of the second speaker
	said, err := audio.Read(recording, audio.Options{})
	if err != nil {
		t.Fatal(err)
	}

	ids, wav := filepath.Join(dir, "ids.npy"), filepath.Join(dir, "out.wav")
	if err := tensorfile.Write(ids, []tensorfile.Tensor{tensorfile.FromInt32s("ids", []int32{2, 3, 1, 4}, 1, 4)}); err != nil {
		t.Fatal(err)
	}
	run("speak-drawn.cue", "ids="+ids, "channels=8", "speaker=1", "to="+wav)
	if clip, err := audio.Read(wav, audio.Options{}); err != nil || clip.Rate != 22050 || clip.Len() == 0 || clip.Len()%16 != 0 {
		t.Error(err, clip)
	}
	run("convert-voice.cue", "audio="+recording, "source=1", "target=0", "hop=16", "to="+wav)
	if clip, err := audio.Read(wav, audio.Options{}); err != nil || clip.Len() != said.Len() {
		t.Error(err, clip)
	}
	run("align-speech.cue", "audio="+recording, "phonemes=B _ A .", "speaker=1", "vocabulary="+filepath.Join(corpus, "vocab.json"), "n_fft=64", "hop=16")
	for _, v := range tensortest.Read(t, filepath.Join(dir, "aligned.npz")) {
		sum := 0.0
		for _, n := range v.Float64s() {
			if sum += n; n < 1 {
				t.Errorf("a phoneme lasts %v frames", n)
			}
		}
		if v.Type.DType != ir.I32 || len(v.Float64s()) != 4 || int(sum)*16 != said.Len() {
			t.Errorf("durations are %v, of %d samples", v.Float64s(), said.Len())
		}
	}
}
