package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"pipe.dev/executor/checkpoint"
)

// fetch brings the contents of a file into the cache, and reports how many
// bytes it had to ask for.
func (c *client) fetch(ctx context.Context, r repo, n Name, commit string, f File, hear func(bytes int64)) (fetched int64, err error) {
	blob := r.blob(f.Hash)
	have := func() bool {
		info, err := os.Stat(blob)
		return err == nil && info.Mode().IsRegular() && info.Size() == f.Bytes
	}
	if have() {
		hear(f.Bytes)
		return 0, nil
	}
	if err := os.MkdirAll(filepath.Dir(blob), 0o777); err != nil {
		return 0, err
	}
	unlock, err := lock(ctx, filepath.Join(c.env.Cache, ".locks", filepath.Base(r.dir), f.Hash+".lock"))
	if err != nil {
		return 0, err
	}
	defer unlock()
	if have() { // another process was faster
		hear(f.Bytes)
		return 0, nil
	}
	d := &download{c: c, file: f, path: blob + ".incomplete", commit: commit, hear: hear,
		address: c.env.Endpoint + "/" + n.ID() + "/resolve/" + commit + "/" + escape(f.Path)}
	for try := 1; ; try++ {
		err = c.retry(ctx, f.Path, func() (bool, error) { return d.attempt(ctx) })
		if err == nil {
			err = d.finish(blob)
		}
		if !errors.Is(err, errHash) || try == 2 {
			return d.fetched, err
		}
		c.log("%s: %v; fetching it anew", f.Path, err)
	}
}

func escape(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// errHash says that what came is not what the hub promised.
var errHash = errors.New("its contents do not have the hash that the hub names")

// download is one file on its way.
type download struct {
	c       *client
	file    File
	path    string // of what there is so far
	commit  string
	address string
	hear    func(bytes int64)
	heard   int64
	best    int64 // the most there ever was
	fetched int64
}

// attempt asks for what is missing and appends it.
func (d *download) attempt(ctx context.Context) (progress bool, err error) {
	out, err := os.OpenFile(d.path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	at, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	if at > d.file.Bytes {
		at = 0
	}
	d.tell(at)
	if at == d.file.Bytes {
		return false, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	header := map[string]string{}
	if at > 0 {
		header["Range"] = fmt.Sprintf("bytes=%d-", at)
	}
	a, err := d.c.get(ctx, d.address, header)
	if s := (*statusError)(nil); errors.As(err, &s) && s.code == http.StatusRequestedRangeNotSatisfiable && at > 0 {
		return false, errors.Join(out.Truncate(0), io.ErrUnexpectedEOF) // from the beginning
	}
	if err != nil {
		return false, err
	}
	defer a.Body.Close()
	if err := d.check(a); err != nil {
		return false, err
	}
	if a.StatusCode != http.StatusPartialContent {
		at = 0 // the server knows no ranges
	} else if want := fmt.Sprintf("bytes %d-", at); !strings.HasPrefix(a.Header.Get("Content-Range"), want) {
		return false, fmt.Errorf("the server answers with the range %.60q, asked for %q", a.Header.Get("Content-Range"), want)
	}
	d.tell(at)
	if err := out.Truncate(at); err != nil {
		return false, err
	}
	if _, err := out.Seek(at, io.SeekStart); err != nil {
		return false, err
	}
	return d.copy(out, a.Body, at, cancel, ctx)
}

// check holds what the hub says of a file against its list.
func (d *download) check(a *http.Response) error {
	for first := a; first != nil; {
		h := first.Header
		tag := h.Get("X-Linked-Etag")
		if tag == "" && h.Get("X-Repo-Commit") != "" { // the hub's own, not that of a server it leads to
			tag = h.Get("Etag")
		}
		if tag = strings.Trim(strings.TrimPrefix(tag, "W/"), `"`); tag != "" && tag != d.file.Hash {
			return fmt.Errorf("the hub gives it the tag %.80q, and its list %s", tag, d.file.Hash)
		}
		if commit := h.Get("X-Repo-Commit"); commit != "" && commit != d.commit {
			return fmt.Errorf("the hub answers with commit %.60q, asked for %s", commit, d.commit)
		}
		first = first.Request.Response // what redirected here
	}
	return nil
}

// copy appends the body, and gives up when nothing comes any more.
func (d *download) copy(out io.Writer, body io.Reader, at int64, cancel context.CancelCauseFunc, ctx context.Context) (progress bool, err error) {
	watchdog := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer watchdog.Stop()
	buffer := make([]byte, 1<<17)
	for {
		k, err := body.Read(buffer)
		if k > 0 {
			watchdog.Reset(stall)
			if at += int64(k); at > d.file.Bytes {
				return false, fmt.Errorf("the server sends more than the %d bytes that it has", d.file.Bytes)
			}
			if _, err := out.Write(buffer[:k]); err != nil {
				return false, err
			}
			if at > d.best { // what came before is no progress
				d.best, progress = at, true
			}
			d.fetched += int64(k)
			d.tell(at)
		}
		switch {
		case err == io.EOF && at < d.file.Bytes:
			return progress, io.ErrUnexpectedEOF
		case err == io.EOF:
			return progress, nil
		case err != nil && errors.Is(context.Cause(ctx), errStalled):
			return progress, errStalled
		case err != nil:
			return progress, err
		}
	}
}

// tell reports how much there is now.
func (d *download) tell(at int64) {
	d.hear(at - d.heard)
	d.heard = at
}

// finish proves the contents and puts them in place.
func (d *download) finish(blob string) error {
	f, err := os.OpenFile(d.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := hasher(d.file)
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != d.file.Hash {
		d.tell(0)
		return errors.Join(errHash, os.Remove(d.path))
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(d.path, blob); err != nil {
		return err
	}
	return checkpoint.SyncFolder(filepath.Dir(blob))
}

// hasher is the hash that names a file: SHA-256, or SHA-1 of git's form.
func hasher(f File) hash.Hash {
	if len(f.Hash) == 64 {
		return sha256.New()
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", f.Bytes)
	return h
}

// counter adds up bytes of several downloads, and tells them one at a time.
type counter struct {
	mu   sync.Mutex
	n    int64
	hear func(done int64)
}

func (c *counter) add(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n += bytes; c.hear != nil {
		c.hear(c.n)
	}
}
