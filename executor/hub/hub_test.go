package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// Connections that end early are taken up where they ended.
func TestPullResumes(t *testing.T) {
	s := newServer(t, model())
	s.cut["large.safetensors"] = 100_000
	e := s.env()
	r, waited, err := s.pull(e, Options{})
	if err != nil || waited == 0 {
		t.Fatal(err, waited)
	}
	checkFolder(t, e, r.Folder, wanted())
	if n := s.count("/large.safetensors bytes="); n < 6 { // of the hub and of the server it leads to
		t.Errorf("%v", s.requests)
	}
	if r.Fetched != r.Bytes {
		t.Errorf("fetched %d of %d bytes", r.Fetched, r.Bytes)
	}
}

// A server that knows no ranges sends everything again.
func TestPullWithoutRanges(t *testing.T) {
	s := newServer(t, model())
	s.noRange = true
	e := s.env()
	cut := 100_000
	s.cut["large.safetensors"] = cut
	s.fail = func(_ http.ResponseWriter, r *http.Request, nth int) bool {
		if nth == 2 && r.URL.Path == "/large.safetensors" {
			s.mu.Lock()
			delete(s.cut, "large.safetensors")
			s.mu.Unlock()
		}
		return false
	}
	r, _, err := s.pull(e, Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkFolder(t, e, r.Folder, wanted())
	if r.Fetched < r.Bytes+int64(cut) { // what was buffered may be lost
		t.Errorf("fetched %d of %d bytes", r.Fetched, r.Bytes)
	}
}

// What is left by a pull that was killed is used, be it right, too long or
// wrong.
func TestPullAfterKill(t *testing.T) {
	text := model()["large.safetensors"]
	for name, left := range map[string]string{"part": text[:7], "whole": text, "longer": text + "!", "wrong": "XXXX", "wrong whole": strings.Repeat("X", len(text))} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, model())
			e := s.env()
			blob := e.repo(Name{"some", "model", "main"}).blob(hashOf("large", text))
			if err := os.MkdirAll(filepath.Dir(blob), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(blob+".incomplete", []byte(left), 0o666); err != nil {
				t.Fatal(err)
			}
			r, _, err := s.pull(e, Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkFolder(t, e, r.Folder, wanted())
			if name == "whole" && s.count("/large") != 0 {
				t.Errorf("%v: it was all there", s.requests)
			}
		})
	}
}

// A pull that is interrupted leaves the model as it was before.
func TestPullInterrupted(t *testing.T) {
	s := newServer(t, model())
	e := s.env()
	ctx, cancel := context.WithCancel(t.Context())
	s.fail = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if strings.HasSuffix(r.URL.Path, "/large.safetensors") {
			cancel()
		}
		return false
	}
	if _, err := Pull(ctx, e, Name{"some", "model", "main"}, Options{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, ok := e.Find(Name{"some", "model", "main"}); ok {
		t.Error("a model that is not whole is found")
	}
	s.fail = nil
	r, _, err := s.pull(e, Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkFolder(t, e, r.Folder, wanted())
}

func TestPullTriesAgain(t *testing.T) {
	s := newServer(t, model())
	e := s.env()
	s.fail = func(w http.ResponseWriter, r *http.Request, nth int) bool {
		switch {
		case nth == 0 && strings.Contains(r.URL.Path, "/revision/"):
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		case nth < 3 && strings.Contains(r.URL.Path, "/tree/"):
			w.WriteHeader(http.StatusServiceUnavailable)
		case nth == 0 && r.URL.Path == "/large.safetensors":
			w.WriteHeader(http.StatusBadGateway)
		case nth == 0 && strings.HasSuffix(r.URL.Path, "/config.json"):
			panic(http.ErrAbortHandler) // no answer at all
		default:
			return false
		}
		return true
	}
	var said []string
	var mu sync.Mutex
	r, waited, err := s.pull(e, Options{Log: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, fmt.Sprintf(format, args...))
	}})
	if err != nil || waited < 7*time.Second {
		t.Fatal(err, waited)
	}
	checkFolder(t, e, r.Folder, wanted())
	if len(said) < 5 {
		t.Errorf("%q", said)
	}
}

// What never gets better ends, soon.
func TestPullGivesUp(t *testing.T) {
	const zeros = "0000000000000000000000000000000000000000"
	entry := func(path, oid string) string {
		return `[{"type":"file","path":"` + path + `","size":1,"oid":"` + oid + `"}]`
	}
	for name, c := range map[string]struct {
		set  func(s *server)
		fact string
	}{
		"always 500": {func(s *server) {
			s.fail = func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(500); return true }
		}, "answers 500 Internal Server Error (tried 6 times)"},
		"not there": {func(s *server) {
			s.commit = "x"
			s.fail = func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(404); return true }
		}, "the hub has no such model"},
		"private":        {func(s *server) { s.token = "hf_other" }, "the hub refuses access with this token"},
		"wrong contents": {func(s *server) { s.send["large.safetensors"] = strings.Repeat("weights?", 40_000) }, "large.safetensors: its contents do not have the hash that the hub names"},
		"wrong small":    {func(s *server) { s.send["config.json"] = `{"model_type": "LLAMA"}` }, "config.json: its contents do not have the hash"},
		"too long":       {func(s *server) { s.send["README.md"] = "# model that goes on" }, "README.md: the server sends more than the 7 bytes"},
		"always short":   {func(s *server) { s.send["README.md"] = "# mod" }, "(tried 6 times)"},
		"wrong tag":      {func(s *server) { s.etag = strings.Repeat("c", 64) }, "the hub gives it the tag"},
		"no JSON":        {func(s *server) { s.tree = "<html>" }, "something other than the JSON"},
		"no commit":      {func(s *server) { s.commit = "main" }, "the hub names the commit \"main\", which is none"},
		"leads out":      {func(s *server) { s.tree = entry("../../x", zeros) }, `lists "../../x", which is no file inside a folder`},
		"absolute":       {func(s *server) { s.tree = entry("/etc/passwd", zeros) }, "which is no file inside a folder"},
		"backslash":      {func(s *server) { s.tree = entry(`a\\b`, zeros) }, "which is no file inside a folder"},
		"hash leads out": {func(s *server) { s.tree = entry("a", "../../x") }, "neither SHA-1 nor SHA-256"},
		"negative size":  {func(s *server) { s.tree = strings.Replace(entry("a", zeros), ":1,", ":-1,", 1) }, "has -1 bytes"},
		"nothing":        {func(s *server) { s.tree = "[]" }, "has no file that is wanted"},
		"listed twice": {func(s *server) {
			s.tree = "[" + entry("a", zeros)[1:len(entry("a", zeros))-1] + "," + entry("a", zeros)[1:]
		}, `lists "a" twice`},
		"endless list": {func(s *server) { s.page = 1; s.files = map[string]string{"a": "", "b": ""}; s.fail = endless(s) }, "has no end"},
		"redirects": {func(s *server) {
			s.fail = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				http.Redirect(w, r, r.URL.Path, http.StatusFound)
				return true
			}
		}, "more than 10 redirects"},
		"only GGUF": {func(s *server) { s.files = map[string]string{"q4.gguf": "a", "q8.gguf": "b"} }, "has 2 files of GGUF: choose with --include"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, model())
			e := s.env()
			c.set(s)
			e.Token = ""
			if name == "private" {
				e.Token = "hf_mine"
			}
			_, _, err := s.pull(e, Options{})
			fails(t, err, c.fact)
			if _, ok := e.Find(Name{"some", "model", "main"}); ok {
				t.Error("a model that is not whole is found")
			}
		})
	}
}

// endless leads every page to itself.
func endless(s *server) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if !strings.Contains(r.URL.Path, "/tree/") {
			return false
		}
		w.Header().Set("Link", "<"+s.hub.URL+r.URL.String()+`>; rel="next"`)
		fmt.Fprint(w, "[]")
		return true
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

// A model that is a single GGUF file is that file.
func TestPullGGUF(t *testing.T) {
	s := newServer(t, map[string]string{"README.md": "# model", "q4.gguf": "GGUF"})
	e := s.env()
	r, _, err := s.pull(e, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if path, err := e.Folder("some/model"); err != nil || path != filepath.Join(r.Folder, "q4.gguf") {
		t.Errorf("%s, %v", path, err)
	}
}

func TestChoose(t *testing.T) {
	names := []string{"config.json", "model.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", "original/params.json", "x-q4.gguf", "onnx/model.onnx", "tokenizer.model", "a.png"}
	for _, c := range []struct {
		without          string
		include, exclude []string
		want             string
	}{
		{"", nil, nil, "config.json model.safetensors tokenizer.model"},
		{"safetensors", nil, nil, "config.json pytorch_model.bin pytorch_model.bin.index.json original/params.json tokenizer.model"},
		{"", []string{"*.bin"}, nil, "pytorch_model.bin"},
		{"", []string{"*"}, []string{"onnx/*", "*.png", "x-*"}, "config.json model.safetensors pytorch_model.bin pytorch_model.bin.index.json original/params.json tokenizer.model"},
		{"", nil, []string{"tokenizer*"}, "config.json model.safetensors"},
		{"", []string{"original/"}, nil, "original/params.json"},
	} {
		var files []File
		for _, n := range names {
			if c.without == "" || !strings.Contains(n, c.without) {
				files = append(files, File{Path: n})
			}
		}
		got, err := choose(files, c.include, c.exclude)
		var list []string
		for _, f := range got {
			list = append(list, f.Path)
		}
		if err != nil || strings.Join(list, " ") != c.want {
			t.Errorf("%v: %v, %v, want %s", c, list, err, c.want)
		}
	}
	if _, err := choose(nil, []string{"[a"}, nil); err == nil {
		t.Error("[a is taken for a pattern")
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]Name{
		"a/b": {"a", "b", "main"}, "HuggingFaceTB/SmolLM2-135M@refs/pr/1": {"HuggingFaceTB", "SmolLM2-135M", "refs/pr/1"}, "x/y@v1.0": {"x", "y", "v1.0"},
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a", "a/b/c", "../b", "a/..", "a--b/c", "/a/b", "a/b@", "a/b@../x", "a/b@/x", "a/b@x y", "./model", "a/b\n", "a/.b", "C:\\x/y"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set  map[string]string
		want Env
	}{
		{map[string]string{"HF_HOME": home}, Env{"https://huggingface.co", filepath.Join(home, "hub"), "hf_file", false}},
		{map[string]string{"HF_HOME": home, "HF_TOKEN": "hf_env", "HF_ENDPOINT": "http://mirror:8080/", "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": "/cache"},
			Env{"http://mirror:8080", "/cache", "hf_env", true}},
	} {
		got, err := FromEnvironment(func(name string) string { return c.set[name] })
		if err != nil || got != c.want {
			t.Errorf("%v: %+v, %v", c.set, got, err)
		}
	}
	if _, err := FromEnvironment(func(name string) string { return map[string]string{"HF_HOME": home, "HF_ENDPOINT": "ftp://x"}[name] }); err == nil {
		t.Error("an address of FTP is taken")
	}
}
