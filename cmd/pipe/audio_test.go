package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// sharedData is where real weights and recordings may lie.
const sharedData = "../../../shared/data/"

// TestSpeech finds speech in a minute of sound with the real detector, as ONNX
// Runtime does.
func TestSpeech(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(sharedData + "golden/silero_v6_test_wav_probs.json")
	if err != nil {
		t.Skipf("needs real weights: %v", err)
	}
	var want struct {
		Probs []float64 `json:"silero_probs"`
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "vad.npz")
	code, said, errs := pipeCommand("run", "../../pipelines/vad.cue", "--quiet", "--set", "audio="+sharedData+"audio/silero_test.wav",
		"--set", "model="+sharedData+"audio/silero_vad.onnx", "--out", out)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	got := tensortest.Read(t, out)["probability"].Float64s()
	if len(got) != 1875 || len(got) != len(want.Probs) {
		t.Fatalf("%d frames", len(got))
	}
	worst := 0.0
	for i, v := range got {
		worst = max(worst, math.Abs(v-want.Probs[i]))
	}
	if !(worst <= 1e-5) {
		t.Errorf("worst error %g", worst)
	}
	if lines := strings.Split(strings.TrimSpace(said), "\n"); len(lines) < 10 || !strings.Contains(lines[0], "\t") {
		t.Errorf("parts: %q", said)
	}
}

// TestStream: a model that adds up what it hears gives the sums of all frames so
// far, for each signal alone.
func TestStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := tensorfile.Write(filepath.Join(dir, "w.safetensors"), []tensorfile.Tensor{tensorfile.FromFloat32s("gain.weight", []float32{2}, 1)}); err != nil {
		t.Fatal(err)
	}
	document := func(state, one, two string) string {
		return put("sum.cue", fmt.Sprintf(`package p
import ("pipe.dev/schema/pipeline", "pipe.dev/schema/op")
_model: op.#Model & {
	nodes: {
		heard: op.#Input & {shape: ["batch", 2]}
		sum: op.#Input & {shape: ["batch", 1]}
		gain: op.#Parameter & {shape: [1]}
		both: op.#Sum & {x: heard.out, axes: [-1], keep: true}
		loud: op.#Mul & {a: both.out, b: gain.out}
		next: op.#Add & {a: loud.out, b: sum.out}
	}
	out: nodes.next.out
	outputs: {so_far: out, sum: nodes.next.out}
}
sums: pipeline.#Pipeline & {
	name: "sums"
	inputs: audio: {type: "list", value: [%q, %q]}
	models: adder: {from: %q, arch: _model}
	nodes: {
		sound: pipeline.#AudioRead & {path: inputs.audio.out, mono: false}
		signal: pipeline.#AudioTensor & {x: sound.out}
		made: pipeline.#Stream & {model: models.adder.out, x: signal.out, input: "heard", state: [%s]}
	}
	outputs: made: {from: nodes.made.out, type: "tensors"}
}
`, one, two, filepath.Join(dir, "w.safetensors"), state))
	}
	var wavs [2]string
	for i, samples := range [2][]float32{{0.5, 0.25, -1, 0.5, 0.125}, {1, 0, 0, 0.25, -0.5}} {
		wavs[i] = filepath.Join(dir, fmt.Sprint(i, ".wav"))
		if _, err := audio.Write(wavs[i], &audio.Clip{Rate: 100, Channels: 1, Samples: samples}, 0); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out.npz")
	if code, _, errs := pipeCommand("run", document(`"sum"`, wavs[0], wavs[1]), "--quiet", "--out", out); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	got := tensortest.Read(t, out)["so_far"]
	if fmt.Sprint(got.Float64s(), got.Type.Sizes()) != "[1.5 0.5 0.75 2 2.5 1.5] [2 3 1]" {
		t.Errorf("%v %v", got.Float64s(), got.Type)
	}
	for state, want := range map[string]string{
		"":            `state lacks "sum"`,
		`"sum", "so"`: `state names "so": the model has no such input`,
	} {
		if code, _, errs := pipeCommand("run", document(state, wavs[0], wavs[1]), "--quiet"); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d: %s, want %s", state, code, errs, want)
		}
	}
}

// TestVocode makes sound of a spectrogram: the file has the samples that the
// reference computes, and the rate that the model's config says.
func TestVocode(t *testing.T) {
	t.Parallel()
	const folder = "../../testdata/golden/speech/hifigan/"
	values := tensortest.Read(t, folder+"values.safetensors")
	dir := t.TempDir()
	in, out := filepath.Join(dir, "mel.npy"), filepath.Join(dir, "new", "speech.wav")
	x := values["in.spectrogram"]
	if err := tensorfile.Write(in, []tensorfile.Tensor{x}); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "../../pipelines/vocode.cue", "--quiet", "--set", "model=" + folder + "model", "--set", "spectrogram=" + in, "--set", "to=" + out}
	code, said, errs := pipeCommand(args...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	want := values["out.waveform"].Float64s()
	files := strings.Split(strings.TrimSpace(said), "\n")
	if len(files) != 2 {
		t.Fatalf("it says %q", said)
	}
	for i, file := range files {
		clip, err := audio.Read(file, audio.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if clip.Rate != 16000 || clip.Len() != len(want)/2 {
			t.Fatalf("%s: %v", file, clip)
		}
		for k, v := range clip.Samples {
			if math.Abs(float64(v)-want[i*clip.Len()+k]) > 2.0/32768 {
				t.Fatalf("%s: sample %d is %v, want %v", file, k, v, want[i*clip.Len()+k])
			}
		}
	}
	for _, c := range []struct{ set, want string }{
		{"to=" + filepath.Join(dir, "speech.ogg"), `is written as .wav, not as ".ogg"`},
		{"nodes.write.bits=12", "bits"},
	} {
		if code, _, errs := pipeCommand(append(args, "--set", c.set)...); code != 3 && code != 2 || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit code %d: %s, want %s", c.set, code, errs, c.want)
		}
	}
}

const hearing = `package recipes

import (
	"pipe.dev/layers"
	"pipe.dev/schema/op"
	"pipe.dev/schema/train"
)

_ear: op.#Model & {
	nodes: {
		audio: op.#Input & {shape: ["batch", 2048]}
		label: op.#Input & {dtype: "i32", shape: ["batch"]}
		mel: layers.#LogMel & {x: audio.out, rate: 8000, n_fft: 256, hop: 128, mels: 16}
		hidden: layers.#SpecAugment & {x: mel.out, mels: 16, frames: 17, band: 2, stretch: 3}
		mean: op.#Mean & {x: hidden.out}
		head: op.#Linear & {x: mean.out, out_features: 2, bias: true}
	}
	out: nodes.head.out
	outputs: logits: out
}

tones: train.#Recipe & {
	name: "tones"
	model: graph: _ear
	data: {
		train: [{files: ["tones"], format: "audio", validation: 0.25}]
		sounds: audio: {rate: 8000, train: [{name: "noise"}, {name: "gain"}]}
	}
	batch: batch: 8
	objective: inputs: targets: _ear.nodes.label.out
	optimizer: {name: "adamw", lr: 3e-2}
	train: steps: 40
	eval: {every: 40, measures: ["accuracy"]}
}
`

// TestHearing trains on a folder of tones, low and high, and asks the classifier about
// two more, one of another rate and length.
func TestHearing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tone := func(path string, hz float64, rate, n int) string {
		c := &audio.Clip{Rate: rate, Channels: 1, Samples: make([]float32, n)}
		for i := range c.Samples {
			c.Samples[i] = float32(0.3 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
		}
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := audio.Write(path, c, 16); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for i := range 16 {
		tone(fmt.Sprintf("tones/low/%d.wav", i), 300+20*float64(i), 8000, 1500+100*i)
		tone(fmt.Sprintf("tones/high/%d.wav", i), 1500+60*float64(i), 8000, 1500+100*i)
	}
	recipe := filepath.Join(dir, "tones.cue")
	if err := os.WriteFile(recipe, []byte(hearing), 0o666); err != nil {
		t.Fatal(err)
	}
	code, _, errs := pipeCommand("run", recipe, "--runs", filepath.Join(dir, "runs"), "--set", "data.train.0.files="+fmt.Sprintf("[%q]", filepath.Join(dir, "tones")))
	if code != 0 || !strings.Contains(errs, "accuracy=1") {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	models, err := filepath.Glob(filepath.Join(dir, "runs", "*", "model"))
	if err != nil || len(models) != 1 {
		t.Fatal(models, err)
	}
	asked, _ := json.Marshal([]string{tone("a.wav", 410, 16000, 3000), tone("b.wav", 1900, 8000, 5000)})
	code, said, errs := pipeCommand("run", "../../pipelines/keyword.cue", "--quiet", "--set", "model="+models[0], "--set", "audios="+string(asked), "--set", "samples=2048", "--set", "form=json")
	var got [][]struct{ Label string }
	if err := json.Unmarshal([]byte(said), &got); code != 0 || err != nil || len(got) != 2 {
		t.Fatalf("exit code %d: %s, %q", code, errs, said)
	}
	if got[0][0].Label != "low" || got[1][0].Label != "high" {
		t.Errorf("%v", got)
	}
}

// TestCodec encodes a recording, whose codes are those of the reference, and makes
// sound of codes again; what is no whole column is filled up.
func TestCodec(t *testing.T) {
	t.Parallel()
	const folder = "../../testdata/golden/speech/encodec/"
	values := tensortest.Read(t, folder+"values.safetensors")
	dir := t.TempDir()
	wav, codes, again := filepath.Join(dir, "in.wav"), filepath.Join(dir, "codes.npz"), filepath.Join(dir, "again.wav")
	samples := values["in.samples"].Float32s()
	samples = samples[:len(samples)/2-3] // of the first clip
	if _, err := audio.Write(wav, &audio.Clip{Rate: 8000, Channels: 1, Samples: samples}, 0); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := pipeCommand("run", "../../pipelines/codec-encode.cue", "--quiet", "--set", "model="+folder+"model", "--set", "audio="+wav,
		"--set", "rate=8000", "--set", "hop=8", "--out", codes); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	got, want := tensortest.Read(t, codes)["codes"], values["out.codes"]
	if fmt.Sprint(got.Type.Sizes()) != "[1 6 24]" {
		t.Fatalf("codes %v", got.Type)
	}
	for q := range 6 { // the network looks back alone: all columns but the last are those of the whole recording
		for f := range 23 {
			if a, b := got.Float64s()[q*24+f], want.Float64s()[q*24+f]; a != b {
				t.Fatalf("code %d of column %d is %v, want %v", q, f, a, b)
			}
		}
	}
	given := filepath.Join(dir, "given.npy")
	if err := tensorfile.Write(given, []tensorfile.Tensor{values["in.codes_in"]}); err != nil {
		t.Fatal(err)
	}
	code, said, errs := pipeCommand("run", "../../pipelines/codec-decode.cue", "--quiet", "--set", "model="+folder+"model", "--set", "codes="+given, "--set", "to="+again)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	wave := values["out.waveform"].Float64s()
	for i, file := range strings.Split(strings.TrimSpace(said), "\n") {
		clip, err := audio.Read(file, audio.Options{})
		if err != nil || clip.Rate != 8000 || clip.Len() != 192 {
			t.Fatal(err, clip)
		}
		for k, v := range clip.Samples {
			if w := max(-1, min(1, wave[i*192+k])); math.Abs(float64(v)-w) > 2.0/32768 {
				t.Fatalf("%s: sample %d is %v, want %v", file, k, v, w)
			}
		}
	}
}

// TestFeatures: a spectrogram of a recording, whose length is named, is librosa's.
func TestFeatures(t *testing.T) {
	t.Parallel()
	want := tensortest.Read(t, "../../testdata/golden/sound/features.npz")
	dir := t.TempDir()
	path, out := filepath.Join(dir, "x.wav"), filepath.Join(dir, "y.npz")
	if _, err := audio.Write(path, &audio.Clip{Rate: 22050, Channels: 1, Samples: want["x"].Float32s()}, 0); err != nil {
		t.Fatal(err)
	}
	code, _, errs := pipeCommand("run", "../../pipelines/features.cue", "--quiet", "--set", "audio="+path, "--set", "rate=22050", "--set", "n_fft=512", "--set", "mels=40", "--out", out)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	mel := want["mel"].Float64s()
	for _, y := range tensortest.Read(t, out) {
		got := y.Float64s()
		if len(got) != len(mel) {
			t.Fatalf("%d numbers, want %d", len(got), len(mel))
		}
		for i, v := range got {
			if d := math.Abs(v - math.Log(math.Max(mel[i], 1e-5))); !(d < 1e-4) {
				t.Fatalf("number %d is %v, and differs by %v", i, v, d)
			}
		}
	}
}
