package executor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

const speech = "../testdata/golden/speech/"

// writes tells what is written.
type writes struct {
	bytes.Buffer
	tell func(string)
}

func (w *writes) Write(p []byte) (int, error) {
	w.tell("written")
	return w.Buffer.Write(p)
}

// spoken runs a document whose sound goes to standard output, and gives the sound and what happened, in order.
func spoken(t *testing.T, doc *schema.Document) (clip *audio.Clip, events []string, outputs map[string]stage.Value) {
	t.Helper()
	o := options(t)
	out := &writes{tell: func(s string) { events = append(events, s) }}
	o.Out = func() (io.Writer, error) { return out, nil }
	o.Steps = func(stage string, done, total int) {
		events = append(events, fmt.Sprintf("%s %d/%d", stage, done, total))
	}
	p, err := Prepare(doc.Pipeline, o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	outputs = map[string]stage.Value{}
	if err := p.Run(context.Background(), func(out schema.Output, v stage.Value) error {
		v, err := stage.Collect(v)
		outputs[out.Name] = v
		return err
	}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "heard.wav")
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if clip, err = audio.Read(file, audio.Options{}); err != nil {
		t.Fatal(err)
	}
	return clip, events, outputs
}

// TestWindows checks that sound in parts has the bits of the whole, for windows of any length, and
// that the first part is written before the second is computed.
func TestWindows(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mel.npy")
	x := make([]float32, 300*6)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	if err := tensorfile.Write(file, []tensorfile.Tensor{tensorfile.FromFloat32s("mel", x, 1, 300, 6)}); err != nil {
		t.Fatal(err)
	}
	made := func(window int) ([]float32, []string) {
		clip, events, _ := spoken(t, load(t, fmt.Sprintf(`package x

import "pipe.dev/schema/pipeline"

p: pipeline.#Pipeline & {
	name: "p"
	inputs: {
		mel: {type: "tensor", value: %q}
		to: {type: "text", value: "-"}
	}
	models: m: from: %q
	nodes: {
		made: pipeline.#Run & {model: models.m.out, with: spectrogram: inputs.mel.out, window: %d}
		write: pipeline.#AudioWrite & {x: made.out, path: inputs.to.out, model: models.m.out, bits: 0}
	}
	outputs: file: {from: nodes.write.out, type: "text"}
}
`, file, speech+"hifigan/model", window)))
		return clip.Samples, events
	}
	whole, _ := made(0)
	if len(whole) != 2400 {
		t.Fatalf("%d samples", len(whole))
	}
	for _, window := range []int{1, 32, 290, 300} {
		got, events := made(window)
		if !slices.Equal(got, whole) {
			t.Errorf("windows of %d give another sound", window)
		}
		if window > 100 {
			continue
		}
		second := slices.IndexFunc(events, func(s string) bool { return strings.HasPrefix(s, "made 2/") })
		if second < 0 || !slices.Contains(events[:second], "written") || slices.Index(events[:second], "written") < slices.IndexFunc(events, func(s string) bool { return strings.HasPrefix(s, "made 1/") }) {
			t.Errorf("windows of %d: the order is %v", window, events)
		}
	}
}

// TestSentences checks that a sentence is written before the next one is computed, that each sounds as
// alone with a pause between, and what outputs have of them.
func TestSentences(t *testing.T) {
	t.Parallel()
	vocabulary := filepath.Join(t.TempDir(), "vocab.json")
	if err := os.WriteFile(vocabulary, []byte(`{"<blank>": 0, "_": 1, "TH": 2, "R": 3, "IY1": 4, "K": 5, "AE1": 6, "T": 7, "S": 8, ".": 9}`), 0o644); err != nil {
		t.Fatal(err)
	}
	document := func(text string) *schema.Document {
		doc, err := schema.Load("../pipelines/tts.cue", schema.Options{Set: []string{"text=" + text, "model=" + speech + "fastspeech2/model", "vocoder=" + speech + "hifigan/model",
			"vocabulary=" + vocabulary, "to=-", "window=2"}})
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	one, _, _ := spoken(t, document("Three cats."))
	two, _, _ := spoken(t, document("Cats."))
	both, events, outputs := spoken(t, document("Three cats.  Cats."))
	want := slices.Concat(one.Samples, make([]float32, int(0.15*float64(one.Rate))), two.Samples)
	if !slices.Equal(both.Samples, want) {
		t.Errorf("%d samples, want those of the first, of a pause and of the second: %d", len(both.Samples), len(want))
	}
	first := slices.Index(events, "written")
	again := -1 // where the sound of the second begins
	for i, e := range events {
		if strings.HasPrefix(e, "sound 1/") {
			again = i
		}
	}
	if first < 0 || again < first {
		t.Errorf("the order is %v", events)
	}
	if got := fmt.Sprint(outputs["phonemes"]); got != "[TH R IY1 _ K AE1 T S _ . K AE1 T S _ .]" {
		t.Errorf("phonemes are %s", got)
	}
	if mels, ok := outputs["spectrogram"].([]tensorfile.Tensor); !ok || len(mels) != 2 || mels[1].Name != "spectrogram-1" {
		t.Errorf("spectrograms are %v", outputs["spectrogram"])
	}
}
