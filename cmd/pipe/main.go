// Command pipe turns CUE documents into running models; see docs/design.md.
//
// This package holds flags, streams, signals and exit codes, and wires the
// packages that do the work. Each subcommand is a file.
//
//   - data goes to stdout, logs and errors to stderr; progress bars appear
//     only where stderr is a terminal. No colours are used.
//   - --json gives what a program may read.
//   - the exit code says what kind of failure it was: see errors.go.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the whole command; it returns the exit code.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from the second signal on they kill, as usual
	c := newConsole(in, out, errs)
	return execute(ctx, c, newRoot(c), args)
}

// execute runs a command tree, reports its error or panic, and returns the
// exit code.
func execute(ctx context.Context, c *console, root *cobra.Command, args []string) (code int) {
	defer func() {
		if p := recover(); p != nil {
			c.reportPanic(p, debug.Stack())
			code = exitBug
		}
	}()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	c.reportError(err)
	return exitCode(err)
}
