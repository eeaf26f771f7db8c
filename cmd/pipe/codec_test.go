package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/tensorfile/tensortest"
)

// TestCodecLearns checks that recipes/encodec.cue learns from recordings without and with critics, that all codes
// come into use, and that the pipelines encode and decode with the folder that it leaves.
func TestCodecLearns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 3 { // a voice of four harmonics, whose pitch moves
		c := audio.Clip{Rate: 8000, Channels: 1}
		for n := range 8000 {
			s, pitch, x := float64(n)/8000, 200+100*float64(i), 0.0
			for k := range 4 {
				x += 0.45 / float64(k+1) * math.Sin(2*math.Pi*float64(k+1)*(pitch*s+5*math.Sin(4*s)))
			}
			c.Samples = append(c.Samples, float32(x))
		}
		if _, err := audio.Write(filepath.Join(dir, fmt.Sprint(i, ".wav")), &c, 16); err != nil {
			t.Fatal(err)
		}
	}
	var args []string
	for _, s := range []string{"settings.recordings=" + filepath.Join(dir, "*.wav"), "settings.rate=8000", "settings.samples=512", "settings.rates=[4,2]", "settings.filters=4", "settings.hidden=8",
		"settings.tables=3", "settings.codes=16", "settings.sizes=[64,128]", "settings.mels=8", "settings.from=400", "settings.widths=2", "settings.resolutions=[{n_fft: 64, hop: 16}]",
		"batch.batch=4", "train.steps=404", "train.log_every=1", "optimizer.lr=4e-3", "settings.decay=0.9", "settings.waveform=20"} {
		args = append(args, "--set", s)
	}
	r := train(t, "../../recipes/encodec.cue", t.TempDir(), args...)
	rows := metrics(t, r.Run)
	mean := func(rows []map[string]any, name string) (sum float64) {
		for _, row := range rows {
			sum += row[name].(float64) / float64(len(rows))
		}
		return sum
	}
	for _, c := range []struct {
		name string
		most float64 // of the first ten
	}{{"mel64", 0.3}, {"mel128", 0.4}, {"waveform", 0.3}} {
		name := "loss/codec/" + c.name
		first, last := mean(rows[:10], name), mean(rows[len(rows)-10:], name)
		t.Logf("%s goes from %v to %v", name, first, last)
		if !(last < c.most*first) {
			t.Errorf("%s goes from %v to %v", name, first, last)
		}
	}
	if used := mean(rows[len(rows)-10:], "loss/codec/used"); !(used > 12) {
		t.Errorf("a batch uses %v of 16 codes of a table", used)
	}
	if _, ok := rows[399]["loss/critics"]; ok || rows[401]["loss/critics"].(float64) <= 0 {
		t.Errorf("critics join at %v, %v", rows[399], rows[401])
	}
	folder := filepath.Join(r.Model, "codec")
	weights := tensortest.Read(t, filepath.Join(folder, "model.safetensors"))
	for i := range 3 { // each vector stands for points: as many as a batch has, once the averages are complete
		size := weights[fmt.Sprintf("quantizer.layers.%d.codebook.cluster_size", i)].Float64s()
		if len(size) != 16 || !(slices.Min(size) > 0) {
			t.Errorf("table %d: the numbers of points are %v", i, size)
		}
	}
	if w := weights["encoder.layers.0.conv.parametrizations.weight.original1"]; w.Data == nil || weights["encoder.layers.0.conv.weight"].Data != nil {
		t.Errorf("convolutions are not written as transformers reads them")
	}

	recode(t, folder, filepath.Join(dir, "1.wav"))
}

// recode has pipelines encode a recording and decode its codes.
func recode(t *testing.T, folder, from string) {
	codes, again := filepath.Join(t.TempDir(), "codes.npz"), filepath.Join(t.TempDir(), "again.wav")
	for _, args := range [][]string{
		{"codec-encode.cue", "--set", "audio=" + from, "--set", "rate=8000", "--set", "hop=8", "--out", codes},
		{"codec-decode.cue", "--set", "codes=" + codes, "--set", "to=" + again},
	} {
		if code, said, errs := pipeCommand(append([]string{"run", "../../pipelines/" + args[0], "--quiet", "--set", "model=" + folder}, args[1:]...)...); code != 0 {
			t.Fatalf("exit code %d: %s%s", code, said, errs)
		}
	}
	if got := tensortest.Read(t, codes)["codes"]; strings.TrimSpace(fmt.Sprint(got.Type.Sizes())) != "[1 3 1000]" {
		t.Errorf("codes %v", got.Type)
	}
	was, err := audio.Read(from, audio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	is, err := audio.Read(again, audio.Options{})
	if err != nil || is.Rate != 8000 || is.Len() != 8000 {
		t.Fatal(err, is)
	}
	ratio := siSDR(was.Samples, is.Samples)
	t.Logf("SI-SDR of the recording made anew: %.1f dB", ratio)
	if !(ratio > 4) {
		t.Errorf("SI-SDR of the recording made anew is %v dB", ratio)
	}
}

// siSDR is the scale-invariant ratio of a signal to what is distorted of it, in dB. Source: arXiv:1811.02508.
func siSDR(want, have []float32) float64 {
	dot, all := 0.0, 0.0
	for i, w := range want {
		dot += float64(w) * float64(have[i])
		all += float64(w) * float64(w)
	}
	signal, noise := 0.0, 0.0
	for i, w := range want {
		s := dot / all * float64(w)
		d := float64(have[i]) - s
		signal, noise = signal+s*s, noise+d*d
	}
	return 10 * math.Log10(signal/noise)
}
