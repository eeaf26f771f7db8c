package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pipe.dev/executor/journal"
	"pipe.dev/executor/learn"
	"pipe.dev/schema"
)

// TestTokenizerRecipe holds what recipes write against the Rust library's
// trainer: its fixtures, as documents.
func TestTokenizerRecipe(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../../executor/tokenizer/train/testdata/trained.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Texts []string
		Cases []struct {
			Name    string
			Attr    json.RawMessage
			Affixed []string
			Result  string
		}
	}
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rows, err := os.Create(filepath.Join(dir, "texts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range all.Texts {
		if err := json.NewEncoder(rows).Encode(map[string]string{"text": text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, c := range all.Cases {
		if len(c.Affixed) > 0 || tried == 8 { // ids by the order of a hash map; enough of them
			continue
		}
		tried++
		file := filepath.Join(dir, "tok.cue")
		text := "package recipes\n\nimport \"pipe.dev/schema/train\"\n\ntok: train.#Tokenizer & {\n\tname: \"tok\"\n" +
			"\tdata: train: [{files: [\"" + rows.Name() + "\"]}]\n\ttokenizer: " + string(c.Attr) + "\n}\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		code, out, errs := pipeCommand("run", file, "--json", "--quiet", "--runs", filepath.Join(dir, "runs"))
		var r struct{ Tokenizer string }
		if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
			t.Fatalf("%s: exit code %d, %v: %s%s", c.Name, code, err, out, errs)
		}
		got, err := os.ReadFile(filepath.Join(r.Tokenizer, "tokenizer.json"))
		if err != nil || string(got) != c.Result {
			t.Errorf("%s: differs from the reference, or %v", c.Name, err)
		}
	}
	if tried < 8 {
		t.Errorf("%d cases", tried)
	}
}

// TestTokenizerInterrupted ends a training in the middle, and takes it up.
func TestTokenizerInterrupted(t *testing.T) {
	doc, err := schema.Load("../../recipes/tokenizer.cue", schema.Options{Set: []string{`data.train=[{files: ["../../LICENSE"], kind: "text"}]`, "tokenizer.vocab_size=800"}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := learn.DecodeVocabulary(doc, learn.Options{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var folder string
	begin := func(f string) { folder = f }
	for _, end := range []string{"words", "merges"} {
		ctx, cancel := context.WithCancel(context.Background())
		_, err = v.Execute(ctx, begin, func(stage string, _, _ int64) error {
			if stage == end {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted at %s: %v", end, err)
		}
		if _, err := os.Stat(filepath.Join(folder, "tokenizer")); err == nil {
			t.Errorf("interrupted at %s, it has written a tokenizer", end)
		}
		if s := journal.Summarize(folder); s.State != journal.Interrupted {
			t.Errorf("interrupted at %s, the run is %s", end, s.State)
		}
	}
	r, err := v.Execute(context.Background(), begin, nil)
	if err != nil || r.Run != folder || r.HeldOut || journal.Summarize(folder).State != journal.Finished {
		t.Errorf("%+v, %v", r, err)
	}
}
