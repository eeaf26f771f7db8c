package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goldenText = "../../testdata/golden/text"

// pipeCommand runs the command in this process.
func pipeCommand(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// textCase is a prompt and what transformers makes of it.
type textCase struct {
	Prompt    string  `json:"prompt"`
	MaxTokens int     `json:"max_tokens"`
	Made      []int32 `json:"made"`
	Text      string  `json:"text"`
}

func textCases(t *testing.T) []textCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(goldenText, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Cases []textCase `json:"cases"`
	}
	if err := json.Unmarshal(data, &all); err != nil || len(all.Cases) == 0 {
		t.Fatalf("expected.json: %v, %d cases", err, len(all.Cases))
	}
	return all.Cases
}

func complete(more ...string) []string {
	return append([]string{"run", "../../pipelines/complete.cue", "--quiet", "--set", "model=" + goldenText, "--set", "temperature=0"}, more...)
}

// TestComplete compares the text of the whole command with that of
// transformers, for every tier of kernels and numbers of threads.
func TestComplete(t *testing.T) {
	for _, c := range textCases(t) {
		for _, tier := range []string{"", "generic", "avx2", "avx512", "avx512bf16", "amx"} {
			for _, threads := range []string{"1", "3"} {
				t.Setenv(tierVariable, tier)
				max, err := json.Marshal(c.MaxTokens)
				if err != nil {
					t.Fatal(err)
				}
				code, out, errs := pipeCommand(complete("--set", "prompt="+c.Prompt, "--set", "max_tokens="+string(max), "--threads", threads)...)
				if code == exitUsage && strings.Contains(errs, tierVariable) {
					continue // this machine lacks the tier
				}
				if code != 0 || errs != "" {
					t.Fatalf("exit code %d: %s", code, errs)
				}
				if want := c.Text + "\n"; out != want {
					t.Errorf("%q, tier %q, threads %s: got %q, want %q", c.Prompt, tier, threads, out, want)
				}
			}
		}
	}
}

// TestCompleteJSON checks that the same comes as JSON.
func TestCompleteJSON(t *testing.T) {
	t.Parallel()
	c := textCases(t)[1]
	code, out, errs := pipeCommand(complete("--set", "max_tokens=12", "--json")...)
	var got struct {
		Hash    string            `json:"hash"`
		Outputs map[string]string `json:"outputs"`
	}
	if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, errs)
	}
	if got.Outputs["text"] != c.Text || !strings.HasPrefix(got.Hash, "sha256:") {
		t.Errorf("got %+v, want %q", got, c.Text)
	}
}

// TestSampling checks that a seed gives the same text each time, whatever the
// number of threads, and that another seed gives another.
func TestSampling(t *testing.T) {
	t.Parallel()
	text := func(seed, threads string) string {
		code, out, errs := pipeCommand(complete("--set", "temperature=1", "--set", "seed="+seed, "--set", "top_p=0.95", "--set", "max_tokens=20", "--threads", threads)...)
		if code != 0 {
			t.Fatal(errs)
		}
		return out
	}
	if a, b := text("7", "1"), text("7", "2"); a != b {
		t.Errorf("seed 7 gives %q and %q", a, b)
	}
	if a, b := text("7", "1"), text("8", "1"); a == b {
		t.Errorf("seeds 7 and 8 both give %q", a)
	}
}

// TestStop checks that a stop string ends the text and is no part of it.
func TestStop(t *testing.T) {
	t.Parallel()
	c := textCases(t)[1] // begins "ۯ~ۯo sons"
	at := strings.Index(c.Text, " so")
	if at < 0 {
		t.Fatalf("no \" so\" in %q", c.Text)
	}
	code, out, errs := pipeCommand(complete("--set", "max_tokens=12", "--set", `stop=["never", " so"]`)...)
	if code != 0 || out != c.Text[:at]+"\n" {
		t.Errorf("exit code %d, got %q, want %q: %s", code, out, c.Text[:at], errs)
	}
}
