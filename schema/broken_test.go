package schema

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what is told into the golden files")

// Every archive in testdata/broken is a document with mistakes and what is
// told of them: "want" has one line for each mistake.
func TestBroken(t *testing.T) {
	names, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no archives", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			told := tell(t, archive)
			want := &archive.Files[len(archive.Files)-1]
			if want.Name != "want" {
				t.Fatal("the last section is not want")
			}
			if *update {
				want.Data = told
				if err := os.WriteFile(name, txtar.Format(archive), 0o666); err != nil {
					t.Fatal(err)
				}
			} else if !bytes.Equal(told, want.Data) {
				t.Errorf("told:\n%swant:\n%s", told, want.Data)
			}
		})
	}
}

// tell loads the first document of an archive and returns the mistakes.
func tell(t *testing.T, archive *txtar.Archive) []byte {
	t.Helper()
	o := Options{Source: map[string][]byte{}}
	for _, f := range archive.Files[1:] {
		if f.Name == "set" {
			o.Set = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
		}
	}
	first := archive.Files[0]
	var err error
	dir := ""
	if first.Name == "config.json" {
		dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, first.Name), first.Data, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err = LoadModel(dir)
	} else {
		o.Source[first.Name] = first.Data
		_, err = Load(first.Name, o)
	}
	if err == nil {
		return []byte("nothing is wrong\n")
	}
	var all Errors
	var one *Error
	if !errors.As(err, &all) && !errors.As(err, &one) {
		t.Errorf("%T is no Errors: %v", err, err)
	}
	told := err.Error()
	if dir != "" {
		told = strings.ReplaceAll(told, dir+string(filepath.Separator), "DIR/")
	}
	return []byte(told + "\n")
}
