package stage

import (
	"strings"
	"testing"

	"pipe.dev/executor/image"
)

// TestReadDocument: what a picture says of itself comes back as it was written, and what is damaged is named.
func TestReadDocument(t *testing.T) {
	seed := 7
	was := Document{Resolved: []byte("a: 1\n"), Hash: "sha256:0", Seed: &seed, Set: []string{`prompt=a "cat"`, "é=ü"}}
	texts, err := was.texts()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadDocument(&image.Picture{Text: texts})
	if err != nil || string(got.Resolved) != "a: 1\n" || got.Hash != was.Hash || *got.Seed != 7 || len(got.Set) != 2 || got.Set[1] != "é=ü" || got.Files != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if d, err := ReadDocument(&image.Picture{Text: []image.Text{{Key: SeedText, Value: "3"}}}); d != nil || err != nil {
		t.Errorf("a picture without a document gives %v, %v", d, err)
	}
	for key, value := range map[string]string{SeedText: "seven", SetText: "{", FilesText: `[{"file": 1}]`} {
		_, err := ReadDocument(&image.Picture{Text: append([]image.Text{{Key: key, Value: value}}, texts[:2]...)})
		if err == nil || !strings.Contains(err.Error(), "its text "+key+" is damaged: ") {
			t.Errorf("%s: %v", key, err)
		}
	}
}
