// Package hub brings models from a Hugging Face hub, or a server that speaks
// its protocol, into the cache that the Python library huggingface_hub keeps,
// and finds what is there. Both programs read what the other pulled.
//
// What is fetched is compared with the hash that the hub names: SHA-256 of
// large files, git's SHA-1 of small ones. A pull that is cut at any moment goes
// on where it was; two at a time wait for each other by the library's own locks.
//
// Not here: uploading, datasets and spaces, and the chunk protocol (Xet): large
// files come over plain HTTP.
package hub

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// Env is where the hub and its cache are.
type Env struct {
	Endpoint string // of the hub, without a slash at its end
	Cache    string // the folder of models--OWNER--NAME
	Token    string // for models that are not public; may be ""
	Offline  bool   // nothing may be asked of the hub
}

// FromEnvironment reads the variables that huggingface_hub reads: HF_ENDPOINT,
// HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE.
func FromEnvironment(get func(string) string) (Env, error) {
	home := get("HF_HOME")
	if home == "" {
		cache := get("XDG_CACHE_HOME")
		if cache == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return Env{}, fmt.Errorf("HF_HOME is not set, and there is no home folder: %w", err)
			}
			cache = filepath.Join(user, ".cache")
		}
		home = filepath.Join(cache, "huggingface")
	}
	e := Env{Endpoint: "https://huggingface.co", Cache: filepath.Join(home, "hub")}
	for _, name := range []string{"HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"} {
		if v := get(name); v != "" {
			e.Cache = v
		}
	}
	if v := get("HF_ENDPOINT"); v != "" {
		u, err := url.Parse(v)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return Env{}, fmt.Errorf("HF_ENDPOINT is %q, want an address as https://huggingface.co", v)
		}
		e.Endpoint = strings.TrimRight(v, "/")
	}
	switch strings.ToUpper(get("HF_HUB_OFFLINE")) {
	case "1", "ON", "YES", "TRUE":
		e.Offline = true
	}
	file := get("HF_TOKEN_PATH")
	if file == "" {
		file = filepath.Join(home, "token")
	}
	e.Token = strings.TrimSpace(get("HF_TOKEN"))
	if e.Token == "" {
		if text, err := os.ReadFile(file); err == nil && len(text) < 4096 {
			e.Token = strings.TrimSpace(string(text))
		}
	}
	return e, nil
}

// Name is a model on the hub.
type Name struct {
	Owner, Model string
	Revision     string // a branch, tag or commit; "main" if none is given
}

var (
	namePart     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}$`)
	revisionPart = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}$`)
	commitPart   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	etagPart     = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
)

// Parse reads OWNER/NAME or OWNER/NAME@REVISION.
func Parse(text string) (Name, error) {
	full, revision, given := strings.Cut(text, "@")
	owner, model, ok := strings.Cut(full, "/")
	n := Name{owner, model, "main"}
	if given {
		n.Revision = revision
	}
	bad := func(s string) bool {
		return !namePart.MatchString(s) || strings.Contains(s, "--") || strings.Contains(s, "..") || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "-")
	}
	switch {
	case !ok || bad(owner) || bad(model):
		return Name{}, fmt.Errorf("%q is no name of a model on the hub: want OWNER/NAME or OWNER/NAME@REVISION", text)
	case !revisionPart.MatchString(n.Revision) || !filepath.IsLocal(n.Revision) || strings.Contains(n.Revision, ".."):
		return Name{}, fmt.Errorf("%q is no revision: want a branch, tag or commit", n.Revision)
	}
	return n, nil
}

// ID is OWNER/NAME.
func (n Name) ID() string { return n.Owner + "/" + n.Model }

func (n Name) String() string {
	if n.Revision == "main" {
		return n.ID()
	}
	return n.ID() + "@" + n.Revision
}

// errorf is an error about a model, which exits like one about a checkpoint.
func (n Name) errorf(format string, args ...any) error {
	return &checkpoint.Error{File: n.String(), Msg: fmt.Sprintf(format, args...)}
}
