package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/audio"
)

// TestTranscribe writes down sound with a tiny random model as transformers does, token
// for token: each of its tokens but times is a character.
func TestTranscribe(t *testing.T) {
	t.Parallel()
	const folder = "../../testdata/golden/speech/whisper/"
	text, err := os.ReadFile(folder + "texts.json")
	if err != nil {
		t.Fatal(err)
	}
	type segment struct {
		From, To float64
		Text     string
	}
	var want struct {
		Window int
		Cases  []struct {
			Language, Task string
			Text           string
			Timestamps     bool `json:"return_timestamps"`
			Segments       []segment
		}
	}
	if err := json.Unmarshal(text, &want); err != nil || len(want.Cases) < 4 {
		t.Fatal(err, len(want.Cases))
	}
	clip, err := audio.Read(folder+"speech.wav", audio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short.wav")
	if _, err := audio.Write(short, &audio.Clip{Rate: clip.Rate, Channels: 1, Samples: clip.Samples[:want.Window]}, 16); err != nil {
		t.Fatal(err)
	}
	run := func(file string, sets ...string) (int, string, string) {
		args := []string{"run", "../../pipelines/transcribe.cue", "--quiet", "--set", "model=" + folder + "model", "--set", "audio=" + file}
		for _, s := range sets {
			args = append(args, "--set", s)
		}
		return pipeCommand(args...)
	}
	var lines string
	for _, c := range want.Cases {
		code, said, errs := run(short, "language="+c.Language, "task="+c.Task, fmt.Sprint("timestamps=", c.Timestamps))
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		expect := c.Text + "\n"
		if c.Timestamps {
			expect = ""
			for _, s := range c.Segments {
				expect += fmt.Sprintf("%.2f\t%.2f\t%s\n", s.From, s.To, strings.TrimSpace(s.Text))
			}
			if lines = expect; lines == "" || !strings.HasPrefix(said, expect) { // what follows is heard again
				t.Errorf("stretches %q, want %q at first", said, expect)
			}
		} else if strings.TrimRight(said, "\n") != expect[:len(expect)-1] {
			t.Errorf("%s %s: %q, want %q", c.Language, c.Task, said, expect)
		}
	}
	// Longer sound is heard window after window, with times or without.
	code, said, errs := run(folder+"speech.wav", "language=en", "json=true")
	var all []segment
	if err := json.Unmarshal([]byte(said), &all); code != 0 || err != nil {
		t.Fatalf("exit code %d: %s %v", code, errs, err)
	}
	first := strings.Count(lines, "\n")
	if len(all) <= first || all[len(all)-1].To <= 0.4 {
		t.Errorf("%d stretches, of the first window %d: %v", len(all), first, all)
	}
	var whole string
	for i, s := range all {
		if whole += s.Text; s.To < s.From || i > 0 && s.From < all[i-1].From {
			t.Errorf("stretch %d: %v", i, all)
		}
	}
	if code, plain, errs := run(folder+"speech.wav", "language=en"); code != 0 || strings.TrimRight(plain, "\n") != whole {
		t.Errorf("exit code %d, %s: %q without times, with them %q", code, errs, plain, whole)
	}
	for _, c := range []struct{ set, want string }{
		{"language=fr", `language is "fr", which the model does not know; it knows de en`},
		{"task=sing", "task"},
	} {
		if code, _, errs := run(short, c.set); code == 0 || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit code %d: %s, want %s", c.set, code, errs, c.want)
		}
	}
}
