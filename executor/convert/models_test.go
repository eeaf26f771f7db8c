package convert

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/executor/checkpoint"
)

// A model of every architecture that is written again, as a folder or by way of
// PyTorch's format, has the tensors that it had: names, shapes, types, bytes.
// (testdata/golden/saveback.py has transformers load what is written.)
func TestSaveBack(t *testing.T) {
	var list []string
	for _, kind := range []string{"arch", "encoder", "seq2seq"} {
		found, err := filepath.Glob("../../testdata/golden/" + kind + "/*/config.json")
		if err != nil || len(found) == 0 {
			t.Fatalf("no models in %s: %v", kind, err)
		}
		for _, config := range found {
			list = append(list, filepath.Dir(config))
		}
	}
	for _, dir := range list {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			tmp := t.TempDir()
			folder, file, again := filepath.Join(tmp, "folder"), filepath.Join(tmp, "x.pt"), filepath.Join(tmp, "again")
			for _, way := range [][2]string{{dir, folder}, {folder, file}, {file, again}} {
				if _, err := Run(context.Background(), Options{In: way[0], Out: way[1]}); err != nil {
					t.Fatal(err)
				}
			}
			sameTensors(t, dir, folder)
			sameTensors(t, dir, again)
			a, err := os.ReadFile(filepath.Join(dir, "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(filepath.Join(folder, "config.json")); err != nil || !bytes.Equal(a, b) {
				t.Errorf("config.json has changed: %v", err)
			}
		})
	}
}

// sameTensors compares two checkpoints.
func sameTensors(t *testing.T, dir, other string) {
	t.Helper()
	var all [2]*checkpoint.Checkpoint
	for i, path := range []string{dir, other} {
		c, err := checkpoint.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all[i] = c
	}
	if n, m := len(all[0].Tensors()), len(all[1].Tensors()); n != m || n == 0 {
		t.Fatalf("%s has %d tensors, want %d", other, m, n)
	}
	for _, want := range all[0].Tensors() {
		got, ok := all[1].Lookup(want.Name)
		if !ok || got.Raw != want.Raw || !slices.Equal(got.Shape, want.Shape) {
			t.Errorf("%s: %s is %s %v, want %s %v", other, want.Name, got.Raw, got.Shape, want.Raw, want.Shape)
			continue
		}
		a, err := all[0].View(want.Name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := all[1].View(want.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s: %s has other bytes", other, want.Name)
		}
	}
}
