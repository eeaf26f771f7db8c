package compiler

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/schema"
)

// Training on a vocabulary of 32,000 holds the logits of some rows only, in
// every phase, whether the weight of logits learns, is that of the embedding,
// or stays as it is; they are computed once.
func TestLogitsAreNeverATensor(t *testing.T) {
	const batch, seq, vocab = 8, 128, 32000
	whole := int64(4 * batch * seq * vocab)
	for _, tied := range []bool{false, true} {
		dir := t.TempDir()
		config := fmt.Sprintf(`{"model_type": "llama", "vocab_size": %d, "hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 1,
			"num_attention_heads": 2, "max_position_embeddings": 128, "tie_word_embeddings": %v}`, vocab, tied)
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := schema.LoadModel(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, phase := range []Phase{Step, Accumulate, Evaluate} {
			for i := range 3 {
				frozen, precision := i == 1, ir.F32
				if i == 2 {
					precision = ir.BF16
				}
				what := fmt.Sprintf("%s, tied %v, frozen %v, %v", phase, tied, frozen, precision)
				table, o := newContext(t)
				o.Entry, o.Training = Entry{Name: string(phase)}, training(t, phase)
				o.Training.Precision = precision
				if frozen {
					o.Training.Trained = func(path string, _ []ir.Dim) bool { return strings.Contains(path, "layers") }
				}
				p, err := Compile(m, table, o)
				if err != nil {
					t.Fatal(err)
				}
				made, err := p.Plan(map[string]int{"batch": batch, "seq": seq})
				if err != nil {
					t.Fatal(err)
				}
				products := 0
				for _, s := range made.Steps {
					for _, x := range append(s.In, s.Out...) {
						if x.Type.Elems() >= batch*seq*vocab {
							t.Errorf("%s: %s has a tensor %v, as large as all logits", what, s.Op, x.Type)
						}
					}
					if strings.HasPrefix(s.Op, "linear_cross_entropy") {
						products++
						want := 3
						if frozen {
							want = 2
						}
						if phase != Evaluate && len(s.Out) != want {
							t.Errorf("%s: %s has %d results, want %d", what, s.Op, len(s.Out), want)
						}
					}
				}
				if products != 1 {
					t.Errorf("%s: logits are computed %d times", what, products)
				}
				if made.WorkBytes > whole/4 {
					t.Errorf("%s: %d bytes of work; all logits alone are %d", what, made.WorkBytes, whole)
				}
			}
		}
	}
}
