package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/journal"
)

// TestPreferences checks that a model learns to prefer chosen answers: that it
// begins without any preference, ln 2 a pair, and ends with all of them, by all
// of its weights and by adapters, in every precision and arrangement of rows.
func TestPreferences(t *testing.T) {
	const pairs = `[{"instruction": "Say yes.", "chosen": "Yes.", "rejected": "No no no."},
{"instruction": "Say one.", "chosen": "One.", "rejected": "Two or three."},
{"instruction": "Say red.", "chosen": "Red.", "rejected": "Blue it is."},
{"instruction": "Say up.", "chosen": "Up.", "rejected": "Down we go."}]
`
	dir := t.TempDir()
	data := filepath.Join(dir, "pairs.json")
	if err := os.WriteFile(data, []byte(pairs), 0o644); err != nil {
		t.Fatal(err)
	}
	inRoot(t)
	source := `[{files: ["` + data + `"], format: "preference"}]`
	common := []string{"--set", "model.from=testdata/golden/text", "--set", "data.train=" + source, "--set", "data.eval=" + source, "--set", "batch.seq=128",
		"--set", "batch.long=cut", "--set", "objective.beta=0.5", "--set", "optimizer.lr=1e-3", "--set", "train.steps=12", "--set", "train.accumulate=1", "--set", "train.log_every=1"}
	for name, flags := range map[string][]string{
		"all weights": nil,
		"adapter":     nil,
		"dropout":     {"--set", "model.adapter.dropout=0.1", "--set", "train.accumulate=2"},
		"dora":        {"--set", "model.adapter.dora=true"},
		"bf16":        {"--set", "precision=bf16"},
		"buckets":     {"--set", "batch.rows=bucket", "--set", "batch.buckets=[100, 128]", "--set", "train.remat=block"},
	} {
		t.Run(name, func(t *testing.T) {
			file := "recipes/dpo.cue"
			if name == "all weights" {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				file = filepath.Join(t.TempDir(), "dpo.cue")
				changed := strings.Replace(string(text), "adapter: {rank: 16, alpha: 32}", "", 1)
				if changed == string(text) {
					t.Fatal("the recipe has no adapter")
				}
				if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
					t.Fatal(err)
				}
				flags = nil
			}
			r := train(t, file, t.TempDir(), slices.Concat(common, flags)...)
			rows, err := journal.ReadMetrics(r.Run)
			if err != nil || len(rows) != 12 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			first, last := rows[0].Values, rows[len(rows)-1].Values
			tolerance := 1e-5
			if name == "bf16" || name == "dropout" { // rounded otherwise; and what is dropped, the reference keeps
				tolerance = 0.05
			}
			if x := first[journal.Loss]; math.Abs(x-math.Ln2) > tolerance {
				t.Errorf("the first loss is %v, want ln 2", x)
			}
			if last[journal.EvalLoss] > 0.1 || last["eval/accuracy"] != 1 || last["eval/margin"] < 2 {
				t.Errorf("in the end the loss is %v, accuracy %v, margin %v", last[journal.EvalLoss], last["eval/accuracy"], last["eval/margin"])
			}
		})
	}
}
