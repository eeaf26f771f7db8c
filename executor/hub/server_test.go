package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const commitA = "0123456789012345678901234567890123456789"

// server is a hub and the server that it leads to for large files. What it
// does wrong is set by the test.
type server struct {
	t        *testing.T
	hub, cdn *httptest.Server
	files    map[string]string // by path; those that begin with "large" are LFS
	commit   string

	mu       sync.Mutex
	requests []string // METHOD PATH [RANGE]
	fail     func(w http.ResponseWriter, r *http.Request, nth int) bool
	cut      map[string]int    // by path: bytes after which a connection ends
	send     map[string]string // by path: sent instead of the contents
	etag     string            // sent instead of the right one
	noRange  bool
	page     int    // files of a page; 0 for all
	token    string // that is wanted
	tree     string // sent instead of the list
}

func newServer(t *testing.T, files map[string]string) *server {
	s := &server{t: t, files: files, commit: commitA, cut: map[string]int{}, send: map[string]string{}}
	s.hub = httptest.NewServer(http.HandlerFunc(s.serveHub))
	s.cdn = httptest.NewServer(http.HandlerFunc(s.serveCDN))
	t.Cleanup(s.hub.Close)
	t.Cleanup(s.cdn.Close)
	return s
}

func (s *server) env() Env { return Env{Endpoint: s.hub.URL, Cache: s.t.TempDir(), Token: s.token} }

// pull pulls without waiting, and returns how long it would have waited.
func (s *server) pull(e Env, o Options) (r *Report, waited time.Duration, err error) {
	o.wait = func(_ context.Context, d time.Duration) error { waited += d; return nil }
	r, err = Pull(s.t.Context(), e, Name{"some", "model", "main"}, o)
	return r, waited, err
}

func (s *server) count(part string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if strings.Contains(r, part) {
			n++
		}
	}
	return n
}

// note remembers a request, and reports whether it was failed on purpose.
func (s *server) note(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	line := r.Method + " " + r.URL.Path + " " + r.Header.Get("Range")
	nth := 0
	for _, old := range s.requests {
		if strings.HasPrefix(old, r.Method+" "+r.URL.Path+" ") {
			nth++
		}
	}
	s.requests = append(s.requests, line)
	fail := s.fail
	s.mu.Unlock()
	return fail != nil && fail(w, r, nth)
}

func large(path string) bool { return strings.HasPrefix(path, "large") }

func hashOf(path, text string) string {
	if large(path) {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(text), text))
	return hex.EncodeToString(sum[:])
}

func (s *server) serveHub(w http.ResponseWriter, r *http.Request) {
	if s.note(w, r) {
		return
	}
	if s.token != "" && r.Header.Get("Authorization") != "Bearer "+s.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	const api = "/api/models/some/model/"
	switch path := r.URL.Path; {
	case path == api+"revision/main" || path == api+"revision/"+s.commit:
		json.NewEncoder(w).Encode(map[string]any{"id": "some/model", "sha": s.commit})
	case path == api+"tree/"+s.commit:
		s.serveTree(w, r)
	case strings.HasPrefix(path, "/some/model/resolve/"+s.commit+"/"):
		name := strings.TrimPrefix(path, "/some/model/resolve/"+s.commit+"/")
		text, ok := s.files[name]
		if !ok {
			w.Header().Set("X-Error-Code", "EntryNotFound")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		tag := hashOf(name, text)
		if s.etag != "" {
			tag = s.etag
		}
		w.Header().Set("X-Repo-Commit", s.commit)
		if large(name) {
			w.Header().Set("X-Linked-Etag", `"`+tag+`"`)
			w.Header().Set("X-Linked-Size", fmt.Sprint(len(text)))
			http.Redirect(w, r, s.cdn.URL+"/"+name, http.StatusFound)
			return
		}
		w.Header().Set("ETag", `W/"`+tag+`"`)
		s.serveBody(w, r, name)
	default:
		w.Header().Set("X-Error-Code", "RepoNotFound")
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *server) serveTree(w http.ResponseWriter, r *http.Request) {
	if s.tree != "" {
		io.WriteString(w, s.tree)
		return
	}
	list := []map[string]any{{"type": "directory", "path": "sub", "oid": commitA, "size": 0}}
	for path, text := range s.files {
		f := map[string]any{"type": "file", "path": path, "size": len(text), "oid": hashOf("small", text)}
		if large(path) {
			f["lfs"] = map[string]any{"oid": hashOf(path, text), "size": len(text), "pointerSize": 130}
		}
		list = append(list, f)
	}
	if s.page > 0 {
		// The order of a map would differ between pages.
		list = nil
		for _, f := range sortedFiles(s.files) {
			list = append(list, map[string]any{"type": "file", "path": f, "size": len(s.files[f]), "oid": hashOf("small", s.files[f])})
		}
		var at int
		fmt.Sscan(r.URL.Query().Get("cursor"), &at)
		end := min(len(list), at+s.page)
		if end < len(list) {
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, s.hub.URL, r.URL.Path, end))
		}
		list = list[at:end]
	}
	json.NewEncoder(w).Encode(list)
}

func (s *server) serveCDN(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		s.t.Error("the token went to another server")
	}
	if s.note(w, r) {
		return
	}
	w.Header().Set("ETag", `"something-else"`)
	s.serveBody(w, r, strings.TrimPrefix(r.URL.Path, "/"))
}

// serveBody sends contents, or part of them.
func (s *server) serveBody(w http.ResponseWriter, r *http.Request, name string) {
	text := s.files[name]
	if other, ok := s.send[name]; ok {
		text = other
	}
	var from int
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil && !s.noRange {
		if from >= len(text) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(text)-1, len(text)))
		w.Header().Set("Content-Length", fmt.Sprint(len(text)-from))
		w.WriteHeader(http.StatusPartialContent)
		text = text[from:]
	} else {
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	}
	s.mu.Lock()
	n, ok := s.cut[name]
	s.mu.Unlock()
	if ok && n < len(text) {
		io.WriteString(w, text[:n])
		panic(http.ErrAbortHandler)
	}
	io.WriteString(w, text)
}
