package tokenizer

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"testing"
)

// kindCase is one tokenizer of testdata/kinds.json.gz with what the Rust library makes of some texts; testdata/gen.py
// makes the file.
type kindCase struct {
	Name    string
	Model   string
	Change  map[string]json.RawMessage
	Parts   map[string]json.RawMessage
	Results []kindResult // one a text
}

type kindResult struct {
	ids           []int32
	decoded, skip any // the text decoded; 0 where it is the text itself, 1 where the library panics
}

func (k *kindResult) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&k.ids, &k.decoded, &k.skip})
}

// kindCases reads the cases and the tokenizer.json of each.
func kindCases(t testing.TB) (texts []string, cases []kindCase, files [][]byte) {
	t.Helper()
	var all struct {
		Texts  []string
		Models map[string]map[string]json.RawMessage
		Cases  []kindCase
	}
	readJSON(t, filepath.Join("testdata", "kinds.json.gz"), &all)
	for _, c := range all.Cases {
		model := maps.Clone(all.Models[c.Model])
		maps.Copy(model, c.Change)
		file := map[string]any{"model": model}
		for name, part := range c.Parts {
			file[name] = part
		}
		data, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data)
	}
	return all.Texts, all.Cases, files
}

func TestKinds(t *testing.T) {
	texts, cases, files := kindCases(t)
	if len(cases) < 40 {
		t.Fatalf("%d cases, want 40 at least", len(cases))
	}
	for i, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := Parse("tokenizer.json", files[i])
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Results) != len(texts) {
				t.Fatalf("%d results for %d texts", len(c.Results), len(texts))
			}
			for i, x := range c.Results {
				checkIDs(t, tok, texts[i], true, x.ids)
				for skip, want := range map[bool]any{false: x.decoded, true: x.skip} {
					switch want := want.(type) {
					case string:
						checkDecode(t, tok, x.ids, skip, want)
					case float64:
						if want == 0 {
							checkDecode(t, tok, x.ids, skip, texts[i])
						}
					}
				}
			}
		})
	}
}
