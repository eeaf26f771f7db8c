package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
)

// TestTTS reads a text aloud: it is the sound that pipelines/speak.cue makes of the ids of what the text says.
func TestTTS(t *testing.T) {
	t.Parallel()
	const folder = "../../testdata/golden/speech/"
	dir := t.TempDir()
	vocabulary, ids, spoken, spelled := filepath.Join(dir, "vocab.json"), filepath.Join(dir, "ids.npy"), filepath.Join(dir, "tts.wav"), filepath.Join(dir, "speak.wav")
	if err := os.WriteFile(vocabulary, []byte(`{"<blank>": 0, "_": 1, "TH": 2, "R": 3, "IY1": 4, "K": 5, "AE1": 6, "T": 7, "S": 8, ".": 9}`), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []int32{2, 3, 4, 1, 5, 6, 7, 8, 1, 9} // TH R IY1 _ K AE1 T S _ .
	if err := tensorfile.Write(ids, []tensorfile.Tensor{tensorfile.FromInt32s("ids", want, 1, len(want))}); err != nil {
		t.Fatal(err)
	}
	models := []string{"--quiet", "--set", "model=" + folder + "fastspeech2/model", "--set", "vocoder=" + folder + "hifigan/model"}
	say := func(text string, more ...string) (int, string, string) {
		return pipeCommand(append(append([]string{"run", "../../pipelines/tts.cue", "--set", "text=" + text, "--set", "vocabulary=" + vocabulary, "--set", "to=" + spoken}, models...), more...)...)
	}
	if code, out, errs := say("3 cats."); code != 0 || !strings.Contains(out, "TH R IY1 _ K AE1 T S _ .") {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	if code, _, errs := pipeCommand(append([]string{"run", "../../pipelines/speak.cue", "--set", "ids=" + ids, "--set", "to=" + spelled}, models...)...); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	a, errA := os.ReadFile(spoken)
	b, errB := os.ReadFile(spelled)
	if errA != nil || errB != nil || len(a) < 100 || !bytes.Equal(a, b) {
		t.Errorf("%v %v: the text and its phonemes sound otherwise: %d and %d bytes", errA, errB, len(a), len(b))
	}
	for want, flags := range map[string][]string{
		`has "D", which ` + vocabulary + ` lacks`:          {"3 dogs."},
		"has 10 words, and there may be 4":                 {"3 cats.", "--set", "phonemes=4"},
		filepath.Join(dir, "none.json") + ": no such file": {"3 cats.", "--set", "vocabulary=" + filepath.Join(dir, "none.json")},
	} {
		if code, _, errs := say(flags[0], flags[1:]...); code == 0 || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("exit code %d: %q, want %s", code, errs, want)
		}
	}
}
