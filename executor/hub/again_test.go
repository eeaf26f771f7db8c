package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

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
