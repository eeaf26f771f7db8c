package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/audio"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// smallVocoder are settings of recipes/hifigan.cue that train in moments.
func smallVocoder(set ...string) (args []string) {
	for _, s := range append([]string{"settings.samples=512", "settings.n_fft=64", "settings.mels=8", "settings.channels=8", "settings.rates=[4,4]", "settings.block_kernels=[3]",
		"settings.periods=[2,3]", "settings.widths=[2,4]", "settings.scales=2",
		"settings.convs=[{channels: 4, kernel: 5, stride: 1, groups: 1}, {channels: 4, kernel: 7, stride: 2, groups: 2}]", "batch.batch=2", "train.log_every=1"}, set...) {
		args = append(args, "--set", s)
	}
	return args
}

// TestVocoderRecipe holds three steps of the recipe, of critics and generator in turn,
// against PyTorch's: every loss, and every weight afterwards. Then the same of weights that are
// written by lengths and by singular values.
func TestVocoderRecipe(t *testing.T) {
	t.Parallel()
	compareVocoder(t, "values.safetensors")
	compareVocoder(t, "normed.safetensors", "settings.weight_norm=true")
}

func compareVocoder(t *testing.T, file string, set ...string) {
	const golden = "../../testdata/golden/hifigan/"
	values := tensortest.Read(t, golden+file)
	sound := values["audio"]
	sound.Name = "audio"
	r := train(t, "../../recipes/hifigan.cue", t.TempDir(), smallVocoder(append(set, "data.train="+columnsOf(t, []tensorfile.Tensor{sound}, ""), "data.sounds={}",
		`batch.order="file"`, "settings.epoch=2", "train.steps=3")...)...)
	rows, compared := metrics(t, r.Run), 0
	for name, want := range values {
		if name == "audio" || strings.HasPrefix(name, "after.") {
			continue
		}
		for i, want := range want.Float64s() {
			compared++
			if got, _ := rows[i]["loss/"+name].(float64); !(math.Abs(got-want) <= 2e-6*max(1, math.Abs(want))) {
				t.Errorf("step %d: %s is %v, want %v", i+1, name, got, want)
			}
		}
	}
	if compared != 3*16 { // of four critics: real, made, fooled; two sums, mel and matched
		t.Errorf("%d losses are compared", compared)
	}
	if have, _ := rows[2]["lr/generator"].(float64); math.Abs(have-2e-4*0.999) > 1e-12 { // after an epoch of two steps
		t.Errorf("the rate is %v then", have)
	}
	first, worst, moved, known := tensortest.Read(t, golden+"first.safetensors"), 0.0, 0, 0
	after := tensortest.Read(t, filepath.Join(r.Run, "checkpoints", "step-00000003", "model.safetensors"))
	for name, x := range after {
		want := values["after."+name]
		worst = max(worst, worstOf(x, want))
		if strings.Contains(name, "parametrizations") {
			known++
			continue
		}
		if !slices.Equal(first[name].Float64s(), want.Float64s()) {
			moved++
		}
	}
	t.Logf("%d weights, the worst error is %g", len(after), worst)
	all := 0
	for name := range values {
		if strings.HasPrefix(name, "after.") {
			all++
		}
	}
	if len(after) != all || moved+known != all || !(worst <= 5e-7) { // each step changes them by 2e-4, decay by 1e-6
		t.Errorf("%d of %d weights change, %d are compared; the worst error is %g", moved+known, all, len(after), worst)
	}
	if known == 0 {
		return
	}
	// The vocoder that is left has the weights that these stand for, by their plain names.
	c, err := checkpoint.Open(filepath.Join(r.Run, "checkpoints", "step-00000003", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Unpack(); err != nil {
		t.Fatal(err)
	}
	left := tensortest.Read(t, filepath.Join(r.Model, "vocoder", "model.safetensors"))
	for name, x := range left {
		w, ok := c.Lookup("vocoder." + name)
		if !ok {
			t.Fatalf("the checkpoint lacks vocoder.%s", name)
		}
		data, err := c.View(w.Name)
		if err != nil {
			t.Fatal(err)
		}
		if d := worstOf(x, tensorfile.Tensor{Type: w.Type(), Data: data}); !(d <= 1e-7) {
			t.Errorf("%s is off by %g", name, d)
		}
	}
}

// TestVocoderLearns checks that the recipe learns from recordings, and that the pipeline
// speaks with the folder that it leaves.
func TestVocoderLearns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 3 { // a voice of five harmonics, whose pitch moves
		c := audio.Clip{Rate: 22050, Channels: 1}
		for n := range 22050 {
			s, pitch := float64(n)/22050, 200+100*float64(i)
			x := 0.0
			for k := range 5 {
				x += 0.2 / float64(k+1) * math.Sin(2*math.Pi*float64(k+1)*(pitch*s+5*math.Sin(4*s)))
			}
			c.Samples = append(c.Samples, float32(x))
		}
		if _, err := audio.Write(filepath.Join(dir, fmt.Sprint(i, ".wav")), &c, 16); err != nil {
			t.Fatal(err)
		}
	}
	r := train(t, "../../recipes/hifigan.cue", t.TempDir(), smallVocoder("settings.recordings="+filepath.Join(dir, "*.wav"), "train.steps=200", "optimizer.lr=1e-3")...)
	mean := func(rows []map[string]any) (sum float64) {
		for _, row := range rows {
			sum += row["loss/generator/mel"].(float64) / float64(len(rows))
		}
		return sum
	}
	rows := metrics(t, r.Run)
	first, last := mean(rows[:20]), mean(rows[len(rows)-20:])
	t.Logf("the error of spectrograms falls from %v to %v", first, last)
	if !(last < 0.6*first) {
		t.Errorf("the error of spectrograms falls from %v to %v", first, last)
	}
	mel, to := tensorfile.Tensor{Type: ir.T(ir.F32, 1, 50, 8), Data: tensorfile.AppendFloats(nil, ir.F32, slices.Repeat([]float64{-2}, 400)...)}, filepath.Join(dir, "made.wav")
	if err := tensorfile.Write(filepath.Join(dir, "mel.npy"), []tensorfile.Tensor{mel}); err != nil {
		t.Fatal(err)
	}
	model := "model=" + filepath.Join(r.Model, "vocoder")
	for _, c := range []struct {
		samples int
		args    []string
	}{
		{50 * 16, []string{"run", "../../pipelines/vocode.cue", "--set", "spectrogram=" + filepath.Join(dir, "mel.npy")}},
		{1379 * 16, []string{"run", "../../pipelines/resynthesize.cue", "--set", "audio=" + filepath.Join(dir, "1.wav"), "--set", "n_fft=64", "--set", "hop=16", "--set", "mels=8"}},
	} {
		if code, said, errs := pipeCommand(append(c.args, "--quiet", "--set", model, "--set", "to="+to)...); code != 0 {
			t.Fatalf("exit code %d: %s%s", code, said, errs)
		}
		made, err := audio.Read(to, audio.Options{})
		if err != nil || made.Rate != 22050 || made.Len() != c.samples || slices.Max(made.Samples) <= 0 {
			t.Errorf("%v: %v", err, made)
		}
	}
	if left, _ := os.ReadDir(r.Model); len(left) != 1 {
		t.Errorf("the run leaves %v", left)
	}
	begins := func(part, folder string) []string {
		return smallVocoder("settings.recordings="+filepath.Join(dir, "*.wav"), "train.steps=1", "optimizer.lr=1e-9", fmt.Sprintf("model.parts={%q: %q}", part, folder))
	}
	learned := filepath.Join(r.Model, "vocoder")
	on := train(t, "../../recipes/hifigan.cue", t.TempDir(), begins("vocoder", learned)...)
	was, is := tensortest.Read(t, filepath.Join(learned, "model.safetensors")), tensortest.Read(t, filepath.Join(on.Model, "vocoder", "model.safetensors"))
	for name, x := range is {
		if worst := worstOf(x, was[name]); worst > 1e-8 {
			t.Errorf("%s begins %g from what was learned", name, worst)
		}
	}
	both := filepath.Join(r.Run, "checkpoints", "step-00000200", "model.safetensors")
	again := train(t, "../../recipes/hifigan.cue", t.TempDir(), append(begins("vocoder", both), "--set", fmt.Sprintf("model.parts.mpd=%q", both), "--set", fmt.Sprintf("model.parts.msd=%q", both))...)
	held, next := tensortest.Read(t, both), tensortest.Read(t, filepath.Join(again.Run, "checkpoints", "step-00000001", "model.safetensors"))
	for name, x := range next {
		if worst := worstOf(x, held[name]); worst > 1e-8 {
			t.Errorf("%s begins %g from the checkpoint", name, worst)
		}
	}
	alone := train(t, "../../recipes/hifigan.cue", t.TempDir(), append(begins("vocoder", learned), "--set", "settings.critics=false", "--set", "settings.weight_norm=true")...)
	for name, x := range tensortest.Read(t, filepath.Join(alone.Model, "vocoder", "model.safetensors")) {
		if worst := worstOf(x, was[name]); worst > 1e-6 {
			t.Errorf("%s, as length and direction, begins %g from what was learned", name, worst)
		}
	}
	if _, ok := metrics(t, alone.Run)[0]["loss/critics"]; ok || len(is) == 0 || len(is) != len(was) {
		t.Errorf("%d weights of %d, critics are there: %v", len(is), len(was), ok)
	}
	for _, c := range []struct{ part, folder, want string }{
		{"vocodr", learned, `"vocodr" holds no weight of the model`},
		{"vocoder", "nowhere", `model.parts.vocoder: nowhere`},
		{"mpd", learned, `no tensor "discriminators.0.conv_post.bias" of shape [1]`},
	} {
		code, _, errs := pipeCommand(append([]string{"run", "../../recipes/hifigan.cue", "--runs", t.TempDir()}, begins(c.part, c.folder)...)...)
		if code == 0 || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit code %d: %s, want %s", c.part, code, errs, c.want)
		}
	}
}

// TestVocoderDeviation checks that model.stds is the deviation of convolutions, too, and of none
// that no pattern stands for.
func TestVocoderDeviation(t *testing.T) {
	t.Parallel()
	recording := filepath.Join(t.TempDir(), "a.wav")
	if _, err := audio.Write(recording, &audio.Clip{Rate: 22050, Channels: 1, Samples: make([]float32, 2205)}, 16); err != nil {
		t.Fatal(err)
	}
	begun := func(set ...string) map[string]tensorfile.Tensor {
		r := train(t, "../../recipes/hifigan.cue", t.TempDir(), smallVocoder(append(set, "settings.recordings="+recording, "settings.critics=false", "train.steps=1", "optimizer.lr=1e-9", "settings.channels=64")...)...)
		return tensortest.Read(t, filepath.Join(r.Model, "vocoder", "model.safetensors"))
	}
	deviation := func(x tensorfile.Tensor) float64 {
		squares := 0.0
		for _, v := range x.Float64s() {
			squares += v * v
		}
		return math.Sqrt(squares / float64(x.Type.Elems()))
	}
	const block, other = "resblocks.0.convs1.0.weight", "conv_pre.weight"
	plain, told := begun(), begun(`model.stds={"*.resblocks.*.weight": 0.01}`)
	if a, b := deviation(plain[block]), deviation(told[block]); a < 0.02 || b < 0.0095 || b > 0.0105 {
		t.Errorf("the deviation of %s is %v, and %v where it was to be 0.01", block, a, b)
	}
	if worst := worstOf(plain[other], told[other]); worst > 1e-8 {
		t.Errorf("%s, which was not named, begins %g from where it would", other, worst)
	}
}

// TestVocoderSettings checks what is told of settings that do not go together.
func TestVocoderSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ set, want string }{
		{"settings.samples=500", "settings.samples is 500, and a frame of the spectrogram has 16, the product of settings.rates; 496 would do"},
		{"settings.channels=2", "_checks.channels: settings.channels is 2, and each of the 2 stages halves it; 4 would do"},
		{"settings.n_fft=63", "settings.n_fft is 63 and the product of settings.rates 16: one is odd"},
	} {
		code, _, errs := pipeCommand(append([]string{"check", "../../recipes/hifigan.cue"}, smallVocoder("settings.samples=512", c.set)...)...)
		if code != 3 || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit code %d: %s, want %s", c.set, code, errs, c.want)
		}
	}
}
