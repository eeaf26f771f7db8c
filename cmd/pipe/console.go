package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// console is where a command reads and writes.
type console struct {
	in   io.Reader
	out  io.Writer // data
	errs io.Writer // logs, errors, progress

	quiet, verbose bool
	level          *slog.LevelVar
	log            *slog.Logger
}

func newConsole(in io.Reader, out, errs io.Writer) *console {
	c := &console{in: in, out: out, errs: errs, level: &slog.LevelVar{}}
	c.log = slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{
		Level: c.level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{} // the same run gives the same log
			}
			return a
		},
	}))
	return c
}

// setLevel lets --quiet and --verbose take effect.
func (c *console) setLevel() {
	switch {
	case c.verbose:
		c.level.Set(slog.LevelDebug)
	case c.quiet:
		c.level.Set(slog.LevelError)
	}
}

// warn logs what is wrong and does not end the command, if anything is.
func (c *console) warn(err error) {
	if err != nil {
		c.log.Warn(err.Error())
	}
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// writeJSON writes v to stdout as indented JSON.
func (c *console) writeJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// grouped writes a count with commas: 1,234,567.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
