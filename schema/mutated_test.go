package schema

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var tokens = regexp.MustCompile(`[\w#]+|"[^"]*"|[{}\[\]:,.&|*]`)

// mutate changes one token of a document: drops it, replaces it by another or
// by a literal, or leaves a letter out.
func mutate(text string, rng *rand.Rand) string {
	all := tokens.FindAllStringIndex(text, -1)
	at := all[rng.IntN(len(all))]
	word, put := text[at[0]:at[1]], ""
	switch rng.IntN(4) {
	case 1:
		other := all[rng.IntN(len(all))]
		put = text[other[0]:other[1]]
	case 2:
		i := rng.IntN(len(word))
		put = word[:i] + word[i+1:]
	case 3:
		literals := []string{"3", `"z"`, "{}", "[]", "true", "-1", "1.5", "null", "zz", "_"}
		put = literals[rng.IntN(len(literals))]
	}
	return text[:at[0]] + put + text[at[1]:]
}

// The same of a config.json: whatever is wrong is told of that file.
func TestMutatedConfig(t *testing.T) {
	const seed, runs = 2, 120
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	name := filepath.Join(dir, "config.json")
	base, err := os.ReadFile(golden + "arch/llama31/config.json")
	if err != nil {
		t.Fatal(err)
	}
	mistakes := 0
	for range runs {
		text := mutate(string(base), rng)
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := LoadModel(dir)
		if err == nil {
			continue
		}
		mistakes++
		var es Errors
		if !errors.As(err, &es) {
			t.Errorf("%T: %v\n%s", err, err, text)
		}
		for _, e := range es {
			if line := e.Error(); !strings.HasPrefix(line, name+":") || inner.MatchString(line) || strings.Contains(line, "\n") || strings.Contains(line, "auto.") {
				t.Errorf("%s\n%s", line, text)
			}
		}
		if len(es) > 3 {
			t.Errorf("%d lines\n%v\n%s", len(es), err, text)
		}
	}
	if mistakes < runs/4 {
		t.Errorf("%d of %d files have mistakes", mistakes, runs)
	}
}

// inner are words of the evaluator's own.
var inner = regexp.MustCompile(`empty disjunction|conflicting values|errors in|not allowed|pipe\.dev/schema/\S+:\d`)

// Whatever is wrong with a document, it is told in few lines that name a place
// in it, and in no words of the evaluator's own.
func TestMutated(t *testing.T) {
	texts := []string{chat}
	for _, name := range []string{"../recipes/full-finetune.cue", "testdata/net/net.cue", "testdata/kinds/kinds.cue"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(data))
	}
	const seed, runs = 1, 240
	rng := rand.New(rand.NewPCG(seed, 0))
	place := regexp.MustCompile(`^(x\.cue(:\d+:\d+)?|--set model): `)
	mistakes, long := 0, 0
	for i := range runs {
		text := mutate(texts[i%len(texts)], rng)
		o := Options{Source: map[string][]byte{"x.cue": []byte(text)}}
		if strings.Contains(text, "inputs") {
			o.Set = []string{"model=m"}
		}
		_, err := Load("x.cue", o)
		if err == nil {
			continue
		}
		mistakes++
		var es Errors
		if !errors.As(err, &es) {
			t.Errorf("%T: %v\n%s", err, err, text)
			continue
		}
		if len(es) > 3 {
			long++
		}
		for _, e := range es {
			if line := e.Error(); !place.MatchString(line) || inner.MatchString(line) || strings.Contains(line, "\n") {
				t.Errorf("%s\n%s", line, text)
			}
		}
	}
	if mistakes < runs/2 || long > mistakes/20 {
		t.Errorf("%d of %d documents have mistakes, %d of them more than three lines", mistakes, runs, long)
	}
}
