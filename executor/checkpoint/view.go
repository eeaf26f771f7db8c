package checkpoint

import (
	"fmt"
	"io/fs"
)

// View returns the bytes of a tensor, little-endian, outermost axis first.
// They must not be written to, may be at any alignment, and are valid until
// Close. Those of a tensor whose form is another in its file are a copy.
func (c *Checkpoint) View(name string) ([]byte, error) { return c.ViewInto(name, nil) }

// ViewInto is View for who has room for a copy, of a tensor with Heads, and
// uses it for one copy at a time.
func (c *Checkpoint) ViewInto(name string, room []byte) ([]byte, error) {
	if Stacked(name) {
		return c.viewStack(name)
	}
	b, err := c.ViewPairs(name)
	if t, ok := c.Lookup(name); err == nil && ok && t.Heads > 0 && t.Bytes > 0 {
		return t.apart(b, room), nil
	}
	return b, err
}

// ViewPairs is View with rows in the order of the file: of a tensor with Heads, as pairs.
func (c *Checkpoint) ViewPairs(name string) ([]byte, error) {
	t, ok := c.Lookup(name)
	if !ok {
		return nil, errorf(c.path, "has no tensor %q%s", name, suggestion(name, c.names()))
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return nil, &Error{File: c.path, Msg: "is closed", Err: fs.ErrClosed}
	}
	if t.Bytes == 0 {
		return []byte{}, nil
	}
	var b []byte
	var err error
	if m := c.made[name]; m != nil {
		b, err = m.view()
	} else {
		b, err = c.files[t.File].view(t.Offset, t.Bytes)
	}
	if err != nil {
		return nil, FileError(t.File, fmt.Errorf("tensor %q: %w", name, err))
	}
	return b, nil
}

// InFile reports whether the view of a tensor is the memory of its file, and no copy; asPairs says
// that it is that of ViewPairs.
func (c *Checkpoint) InFile(name string, asPairs bool) bool {
	t, ok := c.Lookup(name)
	return ok && (t.Heads == 0 || asPairs) && c.made[name] == nil
}

// Release tells the system that the pages of a tensor are not needed any more,
// so that they stop counting as memory of this process. The views of it stay
// valid; touching them reads the file again. Pages shared with a neighbour are
// kept. Without memory mapping it does nothing.
func (c *Checkpoint) Release(name string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if m := c.made[name]; m != nil {
		m.release()
	} else if t, ok := c.Lookup(name); ok && !c.closed {
		c.files[t.File].release(t.Offset, t.Bytes)
	}
}

// ReleasePart is Release for n bytes of the view of a tensor, from a place on.
func (c *Checkpoint) ReleasePart(name string, from, n int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if t, ok := c.Lookup(name); ok && !c.closed && c.made[name] == nil && t.Heads == 0 {
		c.files[t.File].release(t.Offset+from, n)
	}
}

// ReleaseAll does so for all pages of all tensors, those that several share among them.
func (c *Checkpoint) ReleaseAll() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, m := range c.made {
		m.release()
	}
	for _, f := range c.files {
		if !c.closed {
			f.releaseAll()
		}
	}
}

// Fetch begins to read a tensor from the disk, so that View finds it in memory
// later. Without memory mapping it does nothing.
func (c *Checkpoint) Fetch(name string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if t, ok := c.Lookup(name); ok && !c.closed && c.made[name] == nil {
		c.files[t.File].fetch(t.Offset, t.Bytes)
	}
}
