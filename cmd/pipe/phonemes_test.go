package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPhonemes holds what networks say of words against g2p_en
// (testdata/golden/g2p.py): a small one with random weights, and the real one
// where its weights are.
func TestPhonemes(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../testdata/golden/g2p/words.json")
	if err != nil {
		t.Fatal(err)
	}
	var words []struct {
		Word        string
		Small, Real []string
	}
	if err := json.Unmarshal(data, &words); err != nil || len(words) < 5 {
		t.Fatalf("%d words: %v", len(words), err)
	}
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lexicon := put("lexicon.txt", "zzzz Z\n")
	pipeline, err := os.ReadFile("../../pipelines/phonemes.cue")
	if err != nil {
		t.Fatal(err)
	}
	small := put("small.cue", strings.Replace(string(pipeline), "arch: g2p.#Model", "arch: g2p.#Model & {config: size: 8}", 1))
	var text []string
	var want [2][]string
	for _, w := range words {
		text = append(text, w.Word)
		want[0] = append(want[0], strings.Join(phonemesAlone(w.Small), " "))
		want[1] = append(want[1], strings.Join(phonemesAlone(w.Real), " "))
	}
	check := func(document, model string, want []string) {
		code, said, errs := pipeCommand("run", document, "--set", "text="+strings.Join(text, " "), "--set", "lexicon="+lexicon, "--set", "model="+model, "--set", "between=|")
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		if got := strings.TrimSpace(said); got != strings.Join(want, " | ") {
			t.Errorf("%s says\n%s\nwant\n%s", model, got, strings.Join(want, " | "))
		}
		if !strings.Contains(errs, "kubernetes") {
			t.Errorf("nothing tells that the lexicon lacks words: %s", errs)
		}
	}
	check(small, "../../testdata/golden/g2p/small.npz", want[0])
	if real := sharedData + "audio/g2p/checkpoint20.npz"; isFile(real) {
		check("../../pipelines/phonemes.cue", real, want[1])
	}
	code, _, errs := pipeCommand("run", "../../pipelines/phonemes.cue", "--set", "text=x", "--set", "lexicon="+dir+"/none")
	if code == 0 || !strings.Contains(errs, "none") || strings.Count(strings.TrimSpace(errs), "\n") > 0 {
		t.Errorf("a lexicon that is not there: %d %s", code, errs)
	}
}

// phonemesAlone leaves out what is no phoneme.
func phonemesAlone(list []string) []string {
	var out []string
	for _, s := range list {
		if !strings.HasPrefix(s, "<") {
			out = append(out, s)
		}
	}
	return out
}

func isFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
