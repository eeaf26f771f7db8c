package schema

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// tinyLlama is the recipe of models/tiny-llama with another way to say model_type.
func tinyLlama(t *testing.T, modelType, imports string) []byte {
	t.Helper()
	text, err := os.ReadFile("../recipes/tiny-llama.cue")
	if err != nil {
		t.Fatal(err)
	}
	s := strings.Replace(string(text), `"llama"`, modelType, 1)
	return []byte(strings.Replace(s, "import \"pipe.dev/schema/train\"", "import \"pipe.dev/schema/train\"\n"+imports, 1))
}

// What a document picks of the architectures is found however it is written.
func TestPickedArchitectures(t *testing.T) {
	want, err := Load("../recipes/tiny-llama.cue", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"computed":  tinyLlama(t, `"lla" + "ma"`, ""),
		"reference": tinyLlama(t, "Type", "let Type = \"llama\""),
		"all known": tinyLlama(t, `[for n, _ in arch.#ByType if n == "llama" {n}][0]`, `import "pipe.dev/layers/arch"`),
	} {
		file := filepath.Join(t.TempDir(), "doc.cue")
		got, err := Load(file, Options{Source: map[string][]byte{file: text}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got.Recipe.Model.Nodes) == 0 || len(got.Recipe.Model.Nodes) != len(want.Recipe.Model.Nodes) {
			t.Errorf("%s: another model", name)
		}
	}
	file := filepath.Join(t.TempDir(), "doc.cue")
	_, err = Load(file, Options{Source: map[string][]byte{file: tinyLlama(t, `"lama"`, "")}})
	if err == nil || !strings.Contains(err.Error(), "llama") || !strings.Contains(err.Error(), "doc.cue:13:") {
		t.Errorf("a model_type that is not known: %v", err)
	}
}

// Documents that are loaded at the same time share packages.
func TestLoadTogether(t *testing.T) {
	Forget()
	files := []string{"../recipes/tiny-llama.cue", "../recipes/mnist-classifier.cue", "../pipelines/complete.cue", "../pipelines/vocode.cue"}
	got := make([]*Document, 3*len(files))
	var wait sync.WaitGroup
	for i := range got {
		wait.Go(func() {
			var err error
			if got[i], err = Load(files[i%len(files)], Options{Unset: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for i, d := range got {
		if first := got[i%len(files)]; d != nil && first != nil && !reflect.DeepEqual(d, first) {
			t.Errorf("%s is another document the second time", files[i%len(files)])
		}
	}
}
