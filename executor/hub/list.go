package hub

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

const (
	maxFiles = 100_000
	maxPath  = 1024 // bytes
)

// File is a file of a model.
type File struct {
	Path  string // with slashes
	Bytes int64
	Hash  string // SHA-256 of a large file, git's SHA-1 of a small one
}

// resolve asks which commit a revision is.
func (c *client) resolve(ctx context.Context, n Name) (commit string, err error) {
	var answer struct {
		SHA string `json:"sha"`
	}
	if _, err := c.list(ctx, c.env.Endpoint+"/api/models/"+n.ID()+"/revision/"+url.PathEscape(n.Revision), &answer); err != nil {
		return "", err
	}
	if !commitPart.MatchString(answer.SHA) {
		return "", fmt.Errorf("the hub names the commit %.60q, which is none", answer.SHA)
	}
	return answer.SHA, nil
}

// files lists what a commit holds, by path.
func (c *client) files(ctx context.Context, n Name, commit string) ([]File, error) {
	var out []File
	seen := map[string]bool{}
	asked := map[string]bool{}
	for next := c.env.Endpoint + "/api/models/" + n.ID() + "/tree/" + commit + "?recursive=true"; next != ""; {
		if asked[next] {
			return nil, fmt.Errorf("the hub's list of files has no end")
		}
		asked[next] = true
		var page []struct {
			Type string `json:"type"`
			Path string `json:"path"`
			Size int64  `json:"size"`
			OID  string `json:"oid"`
			LFS  *struct {
				OID  string `json:"oid"`
				Size int64  `json:"size"`
			} `json:"lfs"`
		}
		var err error
		if next, err = c.list(ctx, next, &page); err != nil {
			return nil, err
		}
		for _, p := range page {
			if p.Type != "file" {
				continue
			}
			f := File{Path: p.Path, Bytes: p.Size, Hash: p.OID}
			if p.LFS != nil {
				f.Bytes, f.Hash = p.LFS.Size, strings.TrimPrefix(p.LFS.OID, "sha256:")
			}
			if err := f.check(); err != nil {
				return nil, err
			}
			if seen[f.Path] {
				return nil, fmt.Errorf("the hub lists %q twice", f.Path)
			}
			seen[f.Path] = true
			if out = append(out, f); len(out) > maxFiles {
				return nil, fmt.Errorf("the hub lists more than %d files", maxFiles)
			}
		}
	}
	slices.SortFunc(out, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

// check proves that a file can lie in the cache and nowhere else.
func (f File) check() error {
	switch {
	case !filepath.IsLocal(filepath.FromSlash(f.Path)) || len(f.Path) > maxPath || strings.ContainsAny(f.Path, "\\\x00\n") || strings.HasSuffix(f.Path, "/"):
		return fmt.Errorf("the hub lists %.60q, which is no file inside a folder", f.Path)
	case f.Bytes < 0:
		return fmt.Errorf("the hub says that %q has %d bytes", f.Path, f.Bytes)
	case !etagPart.MatchString(f.Hash):
		return fmt.Errorf("the hub gives %q the hash %.80q, which is neither SHA-1 nor SHA-256", f.Path, f.Hash)
	}
	return nil
}
