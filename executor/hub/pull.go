package hub

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Options say what to pull.
type Options struct {
	Include, Exclude []string                                   // patterns of paths
	Progress         func(done, total int64)                    // bytes; may be nil
	Log              func(format string, args ...any)           // what is tried again; may be nil
	wait             func(context.Context, time.Duration) error // for tests; nil is to wait
}

// Report is what a pull did.
type Report struct {
	Model   string `json:"model"`
	Commit  string `json:"commit"`
	Folder  string `json:"folder"`
	Files   []File `json:"files"`
	Bytes   int64  `json:"bytes"`   // of all files
	Fetched int64  `json:"fetched"` // bytes that were not there
	Offline bool   `json:"offline"`
}

// workers is how many files are fetched at the same time.
const workers = 4

// Pull brings a model into the cache, or finds that it is there. Every error is
// a *checkpoint.Error, but for those of ctx.
func Pull(ctx context.Context, e Env, n Name, o Options) (*Report, error) {
	if e.Offline {
		folder, ok := e.Find(n)
		if !ok {
			return nil, n.errorf("is not in the cache (%s), and HF_HUB_OFFLINE is set", e.Cache)
		}
		return &Report{Model: n.String(), Commit: e.repo(n).commit(n.Revision), Folder: folder, Offline: true}, nil
	}
	c := newClient(e)
	if o.Log != nil {
		c.log = o.Log
	}
	if o.wait != nil {
		c.wait = o.wait
	}
	r, err := pull(ctx, c, n, o)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, n.errorf("%v", plain(err))
	}
	return r, nil
}

func pull(ctx context.Context, c *client, n Name, o Options) (*Report, error) {
	commit, err := c.resolve(ctx, n)
	if err != nil {
		return nil, err
	}
	files, err := c.files(ctx, n, commit)
	if err != nil {
		return nil, err
	}
	if files, err = choose(files, o.Include, o.Exclude); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("has no file that is wanted")
	}
	repo := c.env.repo(n)
	r := &Report{Model: n.String(), Commit: commit, Folder: repo.snapshot(commit), Files: files}
	for _, f := range files {
		r.Bytes += f.Bytes
	}
	count := &counter{}
	if o.Progress != nil {
		count.hear = func(done int64) { o.Progress(done, r.Bytes) }
	}
	if r.Fetched, err = c.fetchAll(ctx, repo, n, commit, files, count); err != nil {
		return nil, err
	}
	// Whoever looks the revision up finds all of it, or what was there before.
	return r, repo.setRef(n.Revision, commit)
}

// fetchAll fetches files, some at a time, and links them into the snapshot. The
// first error ends all.
func (c *client) fetchAll(ctx context.Context, r repo, n Name, commit string, files []File, count *counter) (fetched int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan File)
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range min(workers, len(files)) {
		wait.Go(func() {
			for f := range next {
				k, e := c.fetch(ctx, r, n, commit, f, count.add)
				if e == nil {
					e = r.link(commit, f.Path, f.Hash)
				}
				mu.Lock()
				fetched += k
				if e != nil && err == nil {
					err = &fileError{f.Path, e}
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for _, f := range files {
		select {
		case next <- f:
		case <-ctx.Done():
		}
	}
	close(next)
	wait.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return fetched, err
}

// fileError says which file could not be fetched.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string { return e.path + ": " + plain(e.err).Error() }
func (e *fileError) Unwrap() error { return e.err }
