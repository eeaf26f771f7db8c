package tokenizer

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
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
	places        []int
}

func (k *kindResult) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&k.ids, &k.decoded, &k.skip, &k.places})
}

// kindsFile is testdata/kinds.json.gz.
type kindsFile struct {
	Texts  []string
	Models map[string]map[string]json.RawMessage
	Cases  []kindCase
	Full   []fullCase
}

// file is the tokenizer.json of a case.
func (k *kindsFile) file(t testing.TB, model string, change, parts map[string]json.RawMessage) []byte {
	t.Helper()
	m := maps.Clone(k.Models[model])
	maps.Copy(m, change)
	file := map[string]any{"model": m}
	for name, part := range parts {
		file[name] = part
	}
	data, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// kindCases reads the cases and the tokenizer.json of each.
func kindCases(t testing.TB) (texts []string, cases []kindCase, files [][]byte) {
	t.Helper()
	var all kindsFile
	readJSON(t, filepath.Join("testdata", "kinds.json.gz"), &all)
	for _, c := range all.Cases {
		files = append(files, all.file(t, c.Model, c.Change, c.Parts))
	}
	return all.Texts, all.Cases, files
}

// fullCase is a tokenizer with all that the library tells of some texts and pairs.
type fullCase struct {
	Name    string
	Model   string
	Change  map[string]json.RawMessage
	Parts   map[string]json.RawMessage
	Results [][4]json.RawMessage
}

// TestFull holds pairs, types, places, truncation and padding against the library.
func TestFull(t *testing.T) {
	var all kindsFile
	readJSON(t, filepath.Join("testdata", "kinds.json.gz"), &all)
	refused := 0
	for _, c := range all.Full {
		tok, err := Parse("tokenizer.json", all.file(t, c.Model, c.Change, c.Parts))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		for _, r := range c.Results {
			var first string
			o := EncodeOptions{Overflow: true}
			for i, to := range []any{&first, &o.Pair, &o.Special} {
				if err := json.Unmarshal(r[i], to); err != nil {
					t.Fatal(err)
				}
			}
			e, err := tok.EncodeFull(first, o)
			if string(r[3]) == "null" {
				if refused++; err == nil {
					t.Errorf("%s %s %s: not refused", c.Name, r[0], r[1])
				}
				continue
			}
			if err != nil {
				t.Errorf("%s %s %s: %v", c.Name, r[0], r[1], err)
				continue
			}
			var got bytes.Buffer
			enc := json.NewEncoder(&got)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(fullOf(e)); err != nil {
				t.Fatal(err)
			}
			if want := string(r[3]); strings.TrimSpace(got.String()) != want {
				t.Errorf("%s %s %s %v:\n%s, want\n%s", c.Name, r[0], r[1], o.Special, got.String(), want)
			}
		}
	}
	if len(all.Full) < 25 || refused < 3 {
		t.Errorf("%d cases, %d refused", len(all.Full), refused)
	}
}

// fullOf is an encoding as the file has it.
func fullOf(e *Encoding) []any {
	n := len(e.IDs)
	places, words, special, attention := make([][2]int, n), make([]any, n), make([]int, n), make([]int, n)
	for i := range n {
		places[i] = [2]int{e.Offsets[i].Start, e.Offsets[i].End}
		if e.Words[i] >= 0 {
			words[i] = e.Words[i]
		}
		if e.Special[i] {
			special[i] = 1
		}
		if e.Attention[i] {
			attention[i] = 1
		}
	}
	overflow := []any{}
	for _, o := range e.Overflow {
		overflow = append(overflow, fullOf(o))
	}
	return []any{append([]int32{}, e.IDs...), append([]string{}, e.Tokens...), append([]int32{}, e.Types...), places, words, special, attention, overflow}
}

// checkPlaces encodes with places, in characters.
func checkPlaces(t *testing.T, tok *Tokenizer, text string, ids []int32, want []int) {
	t.Helper()
	e, err := tok.EncodeFull(text, EncodeOptions{Special: true})
	if err != nil {
		t.Errorf("%.80q: %v", text, err)
		return
	}
	var places []int
	for _, s := range e.Offsets {
		places = append(places, s.Start, s.End)
	}
	if !slices.Equal(e.IDs, ids) || !slices.Equal(places, want) {
		t.Errorf("%.80q: ids %v, places\n%v, want %v\n%v", text, e.IDs, places, ids, want)
	}
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
				checkPlaces(t, tok, texts[i], x.ids, x.places)
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
