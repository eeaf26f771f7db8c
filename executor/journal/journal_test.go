package journal

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCreateAndOpen(t *testing.T) {
	root := filepath.Join(t.TempDir(), "deep", "runs")
	runs := Runs{Root: root, Version: "0.1", Host: map[string]string{"cpu": "test"}, Steps: 9, Now: clock()}
	run, err := runs.Create("first", testHash, map[string][]byte{"resolved.cue": []byte("a: 1\n"), "seed": []byte("7\n")})
	must(t, err)
	if want := filepath.Join(root, "first-9f86d081884c"); run.Folder != want {
		t.Errorf("folder %s, want %s", run.Folder, want)
	}
	data, err := os.ReadFile(filepath.Join(run.Folder, aboutName))
	must(t, err)
	var about map[string]any
	must(t, json.Unmarshal(data, &about))
	for key, want := range map[string]any{"name": "first", "hash": testHash, "pipe": "0.1", "steps": 9.0, "started": "2026-03-01T12:00:01Z"} {
		if about[key] != want {
			t.Errorf("%s is %v, want %v", key, about[key], want)
		}
	}
	_, err = runs.Create("first", testHash, nil)
	isOneLine(t, err, "this run is there already")
	if !errors.Is(err, fs.ErrExist) {
		t.Error("not fs.ErrExist")
	}
	must(t, run.Finish())
	must(t, run.Close())
	runs.Host, runs.Version = map[string]string{"cpu": "another"}, "0.2"
	run, err = runs.Open("first", testHash)
	must(t, err)
	seed, err := run.ReadFile("seed")
	must(t, err)
	if string(seed) != "7\n" || run.About.Finished.IsZero() {
		t.Errorf("seed %q, finished %v", seed, run.About.Finished)
	}
	must(t, run.Resume(-1))
	must(t, run.Close())
	if a, err := readAbout(osDisk{}, run.Folder); err != nil || !a.Finished.IsZero() {
		t.Errorf("a run that goes on is finished: %+v, %v", a, err)
	} else if a.Host["cpu"] != "another" || a.Version != "0.2" {
		t.Errorf("a run that begins anew is said to be one of another machine: %+v", a)
	}
	runs.Host = nil
	run, err = runs.Open("first", testHash)
	must(t, err)
	must(t, run.Resume(0))
	must(t, run.Close())
	if run.About.Host["cpu"] != "another" {
		t.Errorf("a run that goes on forgot its machine: %+v", run.About)
	}
	entries, err := os.ReadDir(root)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("left in the root: %v", entries)
	}
}

func TestOneProcessWrites(t *testing.T) {
	runs := Runs{Root: t.TempDir(), Now: clock()}
	run, err := runs.Create("locked", testHash, nil)
	must(t, err)
	_, err = runs.Open("locked", testHash)
	isOneLine(t, err, "is being written by process ")
	if !errors.Is(err, ErrLocked) {
		t.Error("not ErrLocked")
	}
	must(t, run.Close())
	run, err = runs.Open("locked", testHash)
	must(t, err)
	must(t, run.Close())
}

// The lock for systems without flock: held by a process that runs, taken over
// from one that does not.
func TestLockByPid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock.pid")
	unlock, err := lockByPid(path)
	must(t, err)
	if _, err := lockByPid(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("locked twice: %v", err)
	}
	if !lockedByPid(path) {
		t.Error("is not locked")
	}
	must(t, unlock())
	_, host, _ := strings.Cut(strings.TrimSpace(string(owner())), " ")
	for text, stale := range map[string]bool{
		"999999999 " + host + "\n":    true,
		"999999999 another-machine\n": false,
		"torn":                        true,
	} {
		must(t, os.WriteFile(path, []byte(text), 0o666))
		must(t, os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)))
		unlock, err := lockByPid(path)
		if stale != (err == nil) {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil {
			must(t, unlock())
		}
	}
}

func TestBadFolders(t *testing.T) {
	dir := t.TempDir()
	aFile := filepath.Join(dir, "file")
	must(t, os.WriteFile(aFile, nil, 0o666))
	_, err := Runs{Root: aFile}.Create("a", testHash, nil)
	isOneLine(t, err, aFile+": is not a folder")
	_, err = Runs{Root: filepath.Join(aFile, "below")}.Create("a", testHash, nil)
	isOneLine(t, err, "is not a folder")
	for _, name := range []string{"", "a/b", "..", "a b", ".a"} {
		_, err = Runs{Root: dir}.Create(name, testHash, nil)
		isOneLine(t, err, "cannot name a folder")
	}
	_, err = Runs{Root: dir}.Create("a", "short", nil)
	isOneLine(t, err, "is no hash")
	_, err = Runs{Root: dir}.Create("a", testHash, map[string][]byte{"lock": nil})
	isOneLine(t, err, `"lock" cannot name a file`)

	_, err = Runs{Root: dir}.Open("absent", testHash)
	isOneLine(t, err, "no such file or folder")
	_, err = Runs{}.openFolder(aFile)
	isOneLine(t, err, aFile+": is not a folder")
	run, err := Runs{Root: dir}.Create("a", testHash, nil)
	must(t, err)
	must(t, run.Close())
	_, err = Runs{Root: dir}.Open("a", testHash[:12]+"other")
	isOneLine(t, err, "another run has this folder")
	for text, say := range map[string]string{"{": "does not describe a run", "{}": "name or hash is missing"} {
		must(t, os.WriteFile(filepath.Join(run.Folder, aboutName), []byte(text), 0o666))
		_, err = Runs{Root: dir}.Open("a", testHash)
		isOneLine(t, err, say)
	}
}

func TestReadOnly(t *testing.T) {
	for _, cause := range []struct {
		err error
		say string
	}{{syscall.EROFS, "the file system is read-only"}, {syscall.EACCES, "permission denied"}} {
		d := newMemDisk()
		must(t, d.mkdir("runs"))
		d.left, d.fail = 0, cause.err
		_, err := Runs{Root: "runs", disk: d}.Create("a", testHash, nil)
		isOneLine(t, err, cause.say)
		if entries, err := d.readDir("runs"); err != nil || len(entries) != 0 {
			t.Errorf("left: %v, %v", entries, err)
		}
	}
	if os.Geteuid() == 0 {
		t.Skip("the real case: root may write everywhere")
	}
	root := t.TempDir()
	must(t, os.Chmod(root, 0o555))
	_, err := Runs{Root: root}.Create("a", testHash, nil)
	isOneLine(t, err, "permission denied")
}

// What a killed Create left goes with the next one of the same run; what
// another process is making stays.
func TestSweep(t *testing.T) {
	runs := Runs{Root: t.TempDir(), Now: clock()}
	folder := runs.Folder("a", testHash)
	stale, busy := temporary(folder), temporary(folder)
	other := temporary(runs.Folder("other", testHash))
	for _, dir := range []string{stale, busy, other} {
		must(t, os.Mkdir(dir, 0o777))
		must(t, os.WriteFile(filepath.Join(dir, lockName), nil, 0o666))
	}
	unlock, err := lockFile(filepath.Join(busy, lockName))
	must(t, err)
	defer unlock()
	run, err := runs.Create("a", testHash, nil)
	must(t, err)
	must(t, run.Close())
	for dir, there := range map[string]bool{stale: false, busy: true, other: true} {
		if _, err := os.Stat(dir); there != (err == nil) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
