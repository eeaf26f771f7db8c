package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"sort"
	"unicode/utf8"
)

// blockSize is how much of a stream is read and written at a time, in bytes.
const blockSize = 64 << 10

// input returns stdin so that reading ends when ctx does, with a progress bar
// where that makes sense: stdin is a file, and stderr, but not stdout, a
// terminal. Call done in the end.
func (c *console) input(ctx context.Context, task string) (in *bufio.Reader, done func()) {
	var r io.Reader = newPump(ctx, c.in)
	done = func() {}
	if f, ok := c.in.(*os.File); ok && !isTerminal(c.out) {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			p := newProgress(c)
			r, done = &watched{r, p, task, 0, info.Size()}, p.stop
		}
	}
	return bufio.NewReaderSize(r, blockSize), done
}

// watched is a reader that shows how far it is.
type watched struct {
	r           io.Reader
	p           *progress
	task        string
	done, total int64
}

func (w *watched) Read(dst []byte) (int, error) {
	n, err := w.r.Read(dst)
	w.done += int64(n)
	w.p.update(w.task, w.done, w.total)
	return n, err
}

// pump reads in a goroutine of its own, so that a reader that waits for input
// can be interrupted. The goroutine ends with the input, or stays in its last
// read, which nobody can end.
type pump struct {
	ctx    context.Context
	blocks chan []byte
	free   chan []byte
	rest   []byte // of block
	block  []byte
	err    error // set before blocks is closed
}

func newPump(ctx context.Context, r io.Reader) *pump {
	p := &pump{ctx: ctx, blocks: make(chan []byte, 1), free: make(chan []byte, 3)}
	for range 3 {
		p.free <- make([]byte, blockSize)
	}
	go p.fill(r)
	return p
}

func (p *pump) fill(r io.Reader) {
	defer close(p.blocks)
	for {
		var b []byte
		select {
		case b = <-p.free:
		case <-p.ctx.Done():
			return
		}
		n, err := r.Read(b[:cap(b)])
		if n > 0 {
			select {
			case p.blocks <- b[:n]:
			case <-p.ctx.Done():
				return
			}
		}
		if err != nil {
			p.err = err
			return
		}
	}
}

// Read returns the context's error once the context has ended.
func (p *pump) Read(dst []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.block != nil {
			p.free <- p.block
			p.block = nil
		}
		select {
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		case b, ok := <-p.blocks:
			if !ok {
				if err := p.ctx.Err(); err != nil {
					return 0, err
				}
				return 0, p.err
			}
			p.rest, p.block = b, b
		}
	}
	n := copy(dst, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// utf8Reader refuses bytes that are not UTF-8, which encoding/json replaces
// without a word.
type utf8Reader struct {
	r     io.Reader
	at    int64 // bytes that were checked
	carry []byte
}

func (u *utf8Reader) Read(dst []byte) (int, error) {
	n, err := u.r.Read(dst)
	b := append(u.carry, dst[:n]...)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			if err == nil && !utf8.FullRune(b) {
				break
			}
			return 0, dataErrorf("%s: not UTF-8 at byte %d", stdin, u.at)
		}
		b, u.at = b[size:], u.at+int64(size)
	}
	u.carry = append(u.carry[:0], b...)
	return n, err
}

// lineCounter knows on which line a position of the input stands, if it is not
// before the last one asked for.
type lineCounter struct {
	utf8Reader
	read  int64   // bytes
	ends  []int64 // positions of newlines that were read and may still be asked about
	lines int     // newlines before ends
}

func (l *lineCounter) Read(dst []byte) (int, error) {
	n, err := l.utf8Reader.Read(dst)
	for i, c := range dst[:n] {
		if c == '\n' {
			l.ends = append(l.ends, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// at returns the line, counted from 1, of a position.
func (l *lineCounter) at(position int64) int {
	before := sort.Search(len(l.ends), func(i int) bool { return l.ends[i] >= position })
	return l.lines + before + 1
}

// forget drops what is known of positions before this one.
func (l *lineCounter) forget(position int64) {
	before := sort.Search(len(l.ends), func(i int) bool { return l.ends[i] >= position })
	l.lines += before
	l.ends = l.ends[:copy(l.ends, l.ends[before:])]
}
