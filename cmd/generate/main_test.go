package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What is committed is what the tables say.
func TestCommitted(t *testing.T) {
	list, err := files("../..")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range list {
		have, err := os.ReadFile(filepath.Join("../..", filepath.FromSlash(path)))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(have, want) {
			t.Errorf("%s differs from the table; run go generate . in the root", path)
		}
	}
}

// Writing goes below the given root, folders included.
func TestWrite(t *testing.T) {
	root := t.TempDir()
	if err := write("../..", root); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "schema", "op", "ops.cue"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte("#Linear: {")) {
		t.Error("schema/op/ops.cue lacks #Linear")
	}
}
