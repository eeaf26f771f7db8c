package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	attempts    = 6                // without any progress
	longestWait = 30 * time.Second // between them, unless the hub asks for more
	mostAsked   = 5 * time.Minute  // that the hub may ask for
	maxAnswer   = 64 << 20         // bytes of a list
	stall       = 60 * time.Second // without a byte, after which a connection is given up
)

// client asks a hub.
type client struct {
	env  Env
	http *http.Client
	wait func(ctx context.Context, d time.Duration) error // between attempts
	log  func(format string, args ...any)                 // what is tried again
}

func newClient(e Env) *client {
	c := &client{env: e, log: func(string, ...any) {}}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = stall
	transport.DisableCompression = true // bodies are counted and hashed as they are
	c.http = &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("more than 10 redirects")
		}
		if r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
			r.Header.Del("Authorization") // the token is for the hub alone
		}
		return nil
	}}
	c.wait = func(ctx context.Context, d time.Duration) error {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return nil
		}
	}
	return c
}

// statusError is an answer that is no success.
type statusError struct {
	code  int
	text  string
	after time.Duration // that the hub asks to wait; 0 for nothing
}

func (e *statusError) Error() string { return e.text }

// passing reports whether trying again may help.
func passing(err error) bool {
	var s *statusError
	if errors.As(err, &s) {
		switch s.code {
		case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var u *url.Error
	var n net.Error
	return errors.As(err, &u) || errors.As(err, &n) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errStalled)
}

var errStalled = errors.New("the connection stalled")

// retry calls f until it succeeds, fails for good, or has failed too often
// without progress, which f reports.
func (c *client) retry(ctx context.Context, what string, f func() (progress bool, err error)) error {
	for n := 1; ; n++ {
		progress, err := f()
		if err == nil || ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if !passing(err) {
			return err
		}
		if progress {
			n = 1
		}
		if n == attempts {
			return fmt.Errorf("%w (tried %d times)", plain(err), n)
		}
		d := min(longestWait, 500*time.Millisecond<<(n-1))
		d += time.Duration(rand.Int64N(int64(d) / 4))
		var s *statusError
		if errors.As(err, &s) && s.after > d {
			d = min(s.after, mostAsked)
		}
		c.log("%s: %v; trying again in %v", what, plain(err), d.Round(100*time.Millisecond))
		if err := c.wait(ctx, d); err != nil {
			return err
		}
	}
}

// plain is an error without the address that the library puts before it.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		host := u.URL
		if p, e := url.Parse(u.URL); e == nil {
			host = p.Host
		}
		return fmt.Errorf("%s: %w", host, u.Err)
	}
	return err
}

// get asks for an address, with headers. The caller closes the body.
func (c *client) get(ctx context.Context, address string, header map[string]string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "pipe")
	if c.env.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.env.Token)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	a, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if a.StatusCode == http.StatusOK || a.StatusCode == http.StatusPartialContent {
		return a, nil
	}
	defer a.Body.Close()
	return nil, c.status(a)
}

// status says what a failure means.
func (c *client) status(a *http.Response) error {
	e := &statusError{code: a.StatusCode, after: retryAfter(a.Header.Get("Retry-After"), time.Now())}
	reason := a.Header.Get("X-Error-Code")
	switch {
	case reason == "RevisionNotFound":
		e.text = "the hub has no such revision"
	case reason == "EntryNotFound":
		e.text = "the hub has no such file"
	case reason == "GatedRepo":
		e.text = "is gated: ask for access on its page, and set HF_TOKEN"
	case a.StatusCode == http.StatusUnauthorized && c.env.Token == "":
		e.text = "the hub has no such model, or it is private: set HF_TOKEN if it is"
	case a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden:
		e.text = "the hub refuses access with this token (HF_TOKEN or the token file)"
	case a.StatusCode == http.StatusNotFound:
		e.text = "the hub has no such model or file"
	default:
		e.text = fmt.Sprintf("%s answers %s", a.Request.URL.Host, a.Status)
	}
	return e
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 20); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

// list asks for JSON, and returns the address of the next page, if any.
func (c *client) list(ctx context.Context, address string, into any) (next string, err error) {
	err = c.retry(ctx, "list", func() (bool, error) {
		a, err := c.get(ctx, address, nil)
		if err != nil {
			return false, err
		}
		defer a.Body.Close()
		text, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer+1))
		if err != nil {
			return false, err
		}
		if len(text) > maxAnswer {
			return false, fmt.Errorf("the hub answers with more than %d bytes", maxAnswer)
		}
		if err := json.Unmarshal(text, into); err != nil {
			return false, fmt.Errorf("the hub answers with something other than the JSON that is wanted: %w", err)
		}
		next = nextPage(a)
		return false, nil
	})
	return next, err
}

// nextPage reads the header Link: <ADDRESS>; rel="next". Pages of other hosts
// do not count.
func nextPage(a *http.Response) string {
	for _, link := range strings.Split(a.Header.Get("Link"), ",") {
		address, rel, ok := strings.Cut(link, ";")
		if !ok || !strings.Contains(rel, `rel="next"`) {
			continue
		}
		u, err := a.Request.URL.Parse(strings.Trim(strings.TrimSpace(address), "<>"))
		if err == nil && u.Host == a.Request.URL.Host && u.Scheme == a.Request.URL.Scheme {
			return u.String()
		}
	}
	return ""
}
