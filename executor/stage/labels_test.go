package stage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
)

// TestLabels: classes by number and by any of their names, and what is wrong with them.
func TestLabels(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "model_index.json")
	if err := os.WriteFile(file, []byte(`{"id2label": {"0": "tench, Tinca tinca", "207": "golden retriever", "3": "crane", "2": "crane"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"id2label": {"x": "y"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file   string
		values []any
		want   string
	}{
		{dir, []any{5, "Tinca tinca", "golden retriever", "tench, Tinca tinca", "crane"}, "[5 0 207 0 2]"},
		{"", []any{7}, "[7]"},
		{"", []any{"crane"}, "values: classes have names, and file, which says their numbers, is missing"},
		{file, []any{"golden retreiver"}, `values: no class is called "golden retreiver"; did you mean golden retriever?`},
		{bad, []any{"y"}, `bad.json: id2label: "x" is no number of a class`},
		{filepath.Join(dir, "none.json"), []any{"y"}, "none.json: no such file"},
	} {
		v, err := labels().Run(context.Background(), &Call{ID: "l", Attr: LabelsAttr{Values: c.values, File: c.file}})
		got := fmt.Sprint(err)
		if r, ok := v.(tensorfile.Tensor); ok && err == nil {
			ids, _ := r.Int32s()
			got = fmt.Sprint(ids)
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%v: %s, want %s", c.values, got, c.want)
		}
	}
}
