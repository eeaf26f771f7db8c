package data

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

// TestLists reads rows of several lengths, of numbers and of words.
func TestLists(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	words, err := OpenList(ListAttr{Vocabulary: write("vocab.json", `{"<blank>": 0, "AH0": 5, "B": 7}`)})
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := OpenList(ListAttr{Fill: -1})
	if err != nil {
		t.Fatal(err)
	}
	fields := []Field{
		{Name: "ids", DType: ir.I32, Width: 3, Shape: []int{3}, Names: []string{""}, List: words},
		{Name: "lasting", DType: ir.F32, Width: 3, Shape: []int{3}, Names: []string{""}, List: numbers},
	}
	rows := func(text string) (*Examples, error) {
		a := defaults(write("rows.jsonl", text))
		a.Format, a.Columns = Columns, map[string][]string{"ids": {"phonemes"}, "lasting": {"lasting"}}
		return OpenExamples([]Attr{a}, fields, Options{})
	}
	e, err := rows(`{"phonemes": "B AH0", "lasting": "1.5 2"}` + "\n" + `{"phonemes": ["AH0"], "lasting": [4]}` + "\n" + `{"phonemes": "", "lasting": []}`)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{7, 5, 0, 5, 0, 0, 0, 0, 0}; !slices.Equal(e.ints[0], want) {
		t.Errorf("ids are %v, want %v", e.ints[0], want)
	}
	if want := []float32{1.5, 2, -1, 4, -1, -1, -1, -1, -1}; !slices.Equal(e.floats[1], want) {
		t.Errorf("numbers are %v, want %v", e.floats[1], want)
	}
	for text, want := range map[string]string{
		`{"phonemes": "B AH", "lasting": 1}`:       `has "AH", which ` + filepath.Join(dir, "vocab.json") + ` lacks; did you mean AH0?`,
		`{"phonemes": "B B B B", "lasting": 1}`:    "has 4 numbers, and the input ids has room for 3",
		`{"phonemes": 3, "lasting": 1}`:            "is 3, want words of",
		`{"phonemes": ["B", 3], "lasting": 1}`:     "has 3 in its list",
		`{"phonemes": "B", "lasting": "1 two"}`:    `"two" is no number`,
		`{"phonemes": "B", "lasting": [1, "2 3"]}`: `"2 3" is no number`,
	} {
		if _, err := rows(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"{", "{}", "[1]", `{"a": "b"}`} {
		if _, err := OpenList(ListAttr{Vocabulary: write("bad.json", text)}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s is read: %v", text, err)
		}
	}
	fields[0].DType = ir.F32
	if _, err := rows(`{"phonemes": "B", "lasting": 1}`); err == nil || !strings.Contains(err.Error(), "lists.ids") {
		t.Errorf("ids are floats: %v", err)
	}
}
