package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pipe.dev/executor/checkpoint"
)

func sortedFiles(files map[string]string) []string { return slices.Sorted(maps.Keys(files)) }

func model() map[string]string {
	return map[string]string{
		"config.json": `{"model_type": "llama"}`, "sub/tokenizer.json": "{}", "empty.txt": "",
		"large.safetensors": strings.Repeat("weights!", 40_000), "pytorch_model.bin": "old", "README.md": "# model", "x.h5": "tensorflow",
	}
}

// checkFolder wants a snapshot with these files, links to blobs that are named
// by their hash.
func checkFolder(t *testing.T, e Env, folder string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		name = filepath.ToSlash(name)
		text, err := os.ReadFile(path)
		got[name] = string(text)
		to, linked := os.Readlink(path)
		if err != nil || linked != nil || filepath.Base(to) != hashOf(name, got[name]) || filepath.IsAbs(to) {
			t.Errorf("%s links to %q: %v, %v", name, to, err, linked)
		}
		return nil
	})
	if !maps.Equal(got, want) {
		t.Errorf("the folder has %v, want %v", sortedFiles(got), sortedFiles(want))
	}
	filepath.WalkDir(e.Cache, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, ".incomplete") || strings.HasSuffix(path, ".tmp")) {
			t.Errorf("%s is left", path)
		}
		return err
	})
}

func wanted() map[string]string {
	m := model()
	delete(m, "pytorch_model.bin")
	delete(m, "x.h5")
	return m
}

// fails wants an error of one line that begins with the model and holds fact.
func fails(t *testing.T, err error, fact string) {
	t.Helper()
	var e *checkpoint.Error
	if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "some/model") || !strings.Contains(err.Error(), fact) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want one line about some/model that says %q", err, fact)
	}
}

func TestPull(t *testing.T) {
	s := newServer(t, model())
	s.token = "hf_secret"
	e := s.env()
	var done, total int64
	var mu sync.Mutex
	r, waited, err := s.pull(e, Options{Progress: func(d, n int64) {
		mu.Lock()
		defer mu.Unlock()
		done, total = max(done, d), n
	}})
	if err != nil || waited != 0 {
		t.Fatal(err, waited)
	}
	if r.Commit != commitA || r.Folder != filepath.Join(e.Cache, "models--some--model", "snapshots", commitA) || r.Fetched != r.Bytes || done != r.Bytes || total != r.Bytes {
		t.Errorf("%+v, %d of %d", r, done, total)
	}
	checkFolder(t, e, r.Folder, wanted())
	ref, err := os.ReadFile(filepath.Join(e.Cache, "models--some--model", "refs", "main"))
	if err != nil || string(ref) != commitA {
		t.Errorf("ref is %q, %v", ref, err)
	}
	if folder, err := e.Folder("some/model"); err != nil || folder != r.Folder {
		t.Errorf("%s, %v, want %s", folder, err, r.Folder)
	}
	if part, err := e.Folder("some/model/unet/config.json"); err != nil || part != filepath.Join(r.Folder, "unet", "config.json") {
		t.Errorf("%s, %v, want a part of %s", part, err, r.Folder)
	}
	if other, err := e.Folder("other/model/unet"); err != nil || other != "other/model/unet" {
		t.Errorf("%s, %v", other, err)
	}
	// Again: nothing is fetched.
	before := len(s.requests)
	r, _, err = s.pull(e, Options{})
	if err != nil || r.Fetched != 0 || len(s.requests) != before+2 {
		t.Errorf("%+v, %v, %v", r, err, s.requests[before:])
	}
	// Offline nothing is asked.
	e.Offline = true
	before = len(s.requests)
	if r, _, err = s.pull(e, Options{}); err != nil || !r.Offline || len(s.requests) != before {
		t.Errorf("%+v, %v", r, err)
	}
	e.Cache = t.TempDir()
	_, _, err = s.pull(e, Options{})
	fails(t, err, "is not in the cache")
	if _, err := e.Folder("some/model"); err == nil || !strings.Contains(err.Error(), "pipe pull some/model would fetch it") {
		t.Error(err)
	}
}

// A new commit shares the blobs of the old, which stays.
func TestPullNewCommit(t *testing.T) {
	s := newServer(t, model())
	e := s.env()
	first, _, err := s.pull(e, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.commit = strings.Repeat("b", 40)
	s.files = maps.Clone(s.files)
	s.files["config.json"] = "{ }"
	second, _, err := s.pull(e, Options{})
	if err != nil || second.Folder == first.Folder || second.Fetched != 3 {
		t.Fatalf("%+v, %v", second, err)
	}
	checkFolder(t, e, first.Folder, wanted())
	if folder, _ := e.Find(Name{"some", "model", "main"}); folder != second.Folder {
		t.Errorf("main is %s, want %s", folder, second.Folder)
	}
	if folder, ok := e.Find(Name{"some", "model", commitA}); !ok || folder != first.Folder {
		t.Errorf("the first commit is %s", folder)
	}
}

func TestPullPages(t *testing.T) {
	files := map[string]string{}
	for i := range 7 {
		files[fmt.Sprintf("f%d.json", i)] = fmt.Sprint(i)
	}
	s := newServer(t, files)
	s.page = 3
	e := s.env()
	r, _, err := s.pull(e, Options{})
	if err != nil || len(r.Files) != 7 || s.count("/tree/") != 3 {
		t.Fatalf("%+v, %v, %v", r, err, s.requests)
	}
	checkFolder(t, e, r.Folder, files)
}

// Two pulls at a time fetch every byte once.
func TestPullTogether(t *testing.T) {
	s := newServer(t, model())
	e := s.env()
	var wait sync.WaitGroup
	var fetched [2]int64
	for i := range fetched {
		wait.Go(func() {
			r, err := Pull(t.Context(), e, Name{"some", "model", "main"}, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			fetched[i] = r.Fetched
		})
	}
	wait.Wait()
	r, _, err := s.pull(e, Options{})
	if err != nil || fetched[0]+fetched[1] != r.Bytes {
		t.Errorf("fetched %v of %d bytes, %v", fetched, r.Bytes, err)
	}
	checkFolder(t, e, r.Folder, wanted())
}
