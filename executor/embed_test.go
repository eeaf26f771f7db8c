package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/internal/measured"
	"pipe.dev/schema"
)

const goldenEmbed = "../testdata/golden/embed/"

// embedding runs pipelines/embed.cue and returns its vectors and its table.
func embedding(t *testing.T, model string, texts []string, set ...string) (tensorfile.Tensor, string, error) {
	t.Helper()
	return embeddingBy(t, options(t), model, texts, set...)
}

// embeddingBy is embedding on the devices that o names.
func embeddingBy(t *testing.T, o Options, model string, texts []string, set ...string) (tensorfile.Tensor, string, error) {
	t.Helper()
	list, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := schema.Load("../pipelines/embed.cue", schema.Options{Set: append(set, "model="+model, "texts="+string(list))})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(doc.Pipeline, o)
	if err != nil {
		return tensorfile.Tensor{}, "", err
	}
	defer p.Close()
	var x tensorfile.Tensor
	var table string
	err = p.Run(context.Background(), func(out schema.Output, v stage.Value) error {
		switch v := v.(type) {
		case tensorfile.Tensor:
			x = v
		case string:
			table = v
		}
		return nil
	})
	return x, table, err
}

// goldenVectors are those that sentence-transformers makes, and their texts.
func goldenVectors(t *testing.T, file string) (map[string]tensorfile.Tensor, []string) {
	t.Helper()
	out := tensortest.Read(t, goldenEmbed+file)
	data, err := os.ReadFile(goldenEmbed + "texts.json")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	return out, texts
}

// away is how far vectors are from others at most.
func away(t *testing.T, got, want tensorfile.Tensor) float64 {
	t.Helper()
	x, y := got.Float64s(), want.Float64s()
	if len(x) != len(y) {
		t.Fatalf("got %v, want %v", got.Type, want.Type)
	}
	most := 0.0
	for i := range x {
		if d := math.Abs(x[i] - y[i]); !(d <= most) {
			most = d
		}
	}
	return most
}

// Vectors of texts are those of sentence-transformers, whatever the pooling and
// however the texts are cut into batches.
func TestEmbed(t *testing.T) {
	want, texts := goldenVectors(t, "encoder.safetensors")
	for name, set := range map[string][]string{
		"folder": nil, "query": {"prompt_name=query"},
		"cls": {"pooling=cls", "normalize=no"}, "max": {"pooling=max", "normalize=no"}, "mean": {"pooling=mean", "normalize=no"}, "last": {"pooling=last", "normalize=no"},
		"mean_sqrt_len": {"pooling=mean_sqrt_len", "normalize=no"}, "weightedmean": {"pooling=weightedmean", "normalize=no"},
	} {
		t.Run(name, func(t *testing.T) {
			got, table, err := embedding(t, goldenEmbed+"encoder", texts, set...)
			if err != nil {
				t.Fatal(err)
			}
			d := away(t, got, want[name])
			if !(d < 1e-5) {
				t.Errorf("differ by %.2g", d)
			}
			measured.Note(t, "../testdata/golden", "embed", name, d)
			if lines := strings.Split(table, "\n"); len(lines) != len(texts)+1 || !strings.Contains(lines[1], "1.000") || !strings.Contains(lines[1], texts[0]) {
				t.Errorf("the table is\n%s", table)
			}
		})
	}
	whole, _, err := embedding(t, goldenEmbed+"encoder", texts)
	if err != nil {
		t.Fatal(err)
	}
	for _, positions := range []int{1, 20, 4096} {
		got, _, err := embedding(t, goldenEmbed+"encoder", texts, fmt.Sprintf("nodes.vectors.positions=%d", positions))
		if err != nil {
			t.Fatal(err)
		}
		if d := away(t, got, whole); d != 0 {
			t.Errorf("batches of %d positions change a vector by %.2g", positions, d)
		}
	}
}

// Mistakes in the folder and the document are told in a line.
func TestEmbedMistakes(t *testing.T) {
	for want, c := range map[string]struct {
		model string
		texts []string
		set   []string
	}{
		`has no prompt "quary"; it has [document query]`: {"encoder", []string{"a"}, []string{"prompt_name=quary"}},
		"max_tokens: 65 is more than the 64 positions":   {"encoder", []string{"a"}, []string{"max_tokens=65"}},
		"max_length is 1, and the post-processor adds 2": {"encoder", []string{"a"}, []string{"max_tokens=1"}},
		"x is a list of no texts":                        {"encoder", []string{}, nil},
		"it makes logits, which are no vectors of texts": {"../text", []string{"a"}, nil},
	} {
		if _, _, err := embedding(t, goldenEmbed+c.model, c.texts, c.set...); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: got %v, want %q", c, err, want)
		}
	}
}

// Files beside a model that say what is not known are refused by name.
func TestSentenceMistakes(t *testing.T) {
	for want, file := range map[string][2]string{
		"modules.json: module 1 is sentence_transformers.models.Dense": {"modules.json", `[{"type": "a.Transformer"}, {"type": "sentence_transformers.models.Dense"}]`},
		"pooling_mode is median; known are cls, max":                   {"1_Pooling/config.json", `{"pooling_mode": "median"}`},
		"no pooling_mode is on":                                        {"1_Pooling/config.json", `{"pooling_mode_mean_tokens": false}`},
		"include_prompt is false":                                      {"1_Pooling/config.json", `{"pooling_mode": "cls", "include_prompt": false}`},
		"sentence_bert_config.json: unexpected end of JSON input":      {"sentence_bert_config.json", `{"max_seq`},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(goldenEmbed+"encoder")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file[0]), []byte(file[1]), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, _, err := embedding(t, dir, []string{"a"}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: got %v, want %q", file, err, want)
		}
	}
}

// The real encoder all-MiniLM-L6-v2, in the folder that PIPE_MINILM names.
func TestMiniLM(t *testing.T) {
	dir := os.Getenv("PIPE_MINILM")
	if dir == "" {
		t.Skip("PIPE_MINILM names no folder of all-MiniLM-L6-v2")
	}
	want, texts := goldenVectors(t, "minilm.safetensors")
	texts = append(texts, strings.Repeat(strings.Join(texts, " ")+" ", 7)+strings.Join(texts, " ")) // longer than what a text may have
	got, _, err := embedding(t, dir, texts)
	if err != nil {
		t.Fatal(err)
	}
	d := away(t, got, want["folder"])
	measured.Note(t, "../testdata/golden", "embed", "all-MiniLM-L6-v2", d)
	if !(d < 1e-5) {
		t.Errorf("differ by %.2g", d)
	}
}
