package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"pipe.dev/compiler/op"
	"pipe.dev/executor"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/learn"
	"pipe.dev/executor/model"
	"pipe.dev/executor/sampler"
	"pipe.dev/executor/session"
	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/schema"
)

// The exit codes, the same for all subcommands.
const (
	exitOK          = 0
	exitBug         = 1   // anything that has no code of its own, panics among it
	exitUsage       = 2   // unknown command or flag, wrong arguments
	exitDocument    = 3   // the document is not valid
	exitFit         = 4   // the run does not fit into memory
	exitData        = 5   // a data file, checkpoint, tokenizer or input is missing or bad, or too long
	exitNumeric     = 6   // NaN
	exitInterrupted = 130 // SIGINT or SIGTERM
)

// codes maps kinds of error to exit codes; the first row that matches counts.
var codes = [...]struct {
	code    int
	matches func(error) bool
}{
	{exitInterrupted, func(err error) bool { return errors.Is(err, context.Canceled) }},
	{exitUsage, is[*usageError]},
	{exitNumeric, is[*sampler.NaNError]},
	{exitNumeric, is[*session.NaNError]},
	{exitFit, is[*model.FitError]},
	{exitFit, func(err error) bool { return errors.Is(err, driver.ErrMemory) }},
	{exitDocument, is[schema.Errors]},
	{exitDocument, is[*schema.Error]},
	{exitDocument, is[*op.Error]},
	{exitData, is[*dataError]},
	{exitData, is[*checkpoint.Error]},
	{exitData, is[*checkpoint.MismatchError]},
	{exitData, is[*model.VocabError]},
	{exitData, is[*model.TokenizerError]},
	{exitData, is[*model.ChatError]},
	{exitData, is[*decode.ContextError]},
	{exitData, is[*decode.PromptError]},
	{exitData, is[*decode.SourceError]},
	{exitData, is[*data.RowError]},
	{exitUsage, is[*learn.FinishedError]},
	{exitData, is[*learn.EndedError]},
	{exitData, is[*learn.ChangedError]},
	{exitData, is[*fs.PathError]},
	{exitDocument, func(err error) bool { var e *executor.StageError; return errors.As(err, &e) && !e.Prepared }},
	{exitData, is[*executor.StageError]},
	{exitData, func(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) }},
}

// is reports whether err is, or wraps, an error of type T.
func is[T error](err error) bool {
	var e T
	return errors.As(err, &e)
}

// exitCode returns the exit code for an error.
func exitCode(err error) int {
	for _, row := range codes {
		if row.matches(err) {
			return row.code
		}
	}
	return exitBug
}

// usageError is a mistake on the command line. With no text, it was said
// already.
type usageError struct{ command, msg string }

func (e *usageError) Error() string { return e.command + ": " + e.msg }

// dataError is bad input that the package which found it has no type for.
type dataError struct{ err error }

func (e *dataError) Error() string { return e.err.Error() }
func (e *dataError) Unwrap() error { return e.err }

// dataErrorf returns a dataError.
func dataErrorf(format string, args ...any) error { return &dataError{fmt.Errorf(format, args...)} }

// failure is an error that was reported already, and has its exit code.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// reportError writes an error to stderr, as one line or as the lines it has.
func (c *console) reportError(err error) {
	var usage *usageError
	var path *fs.PathError
	switch {
	case is[failure](err):
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(c.errs, "interrupted")
	case errors.As(err, &usage):
		if usage.msg != "" {
			fmt.Fprintf(c.errs, "%s; see %s --help\n", usage.Error(), usage.command)
		}
	case errors.As(err, &path) && error(path) == err:
		fmt.Fprintln(c.errs, checkpoint.FileError(path.Path, err))
	default:
		fmt.Fprintln(c.errs, strings.TrimRight(err.Error(), "\n"))
	}
}

// reportPanic tells about a broken invariant: a bug, whatever the input was.
func (c *console) reportPanic(p any, stack []byte) {
	hint := "; please report this, with what --verbose adds"
	if c.verbose {
		hint = "; please report this, with the lines below"
	}
	fmt.Fprintf(c.errs, "pipe has a bug: %s%s\n", strings.Join(strings.Fields(fmt.Sprint(p)), " "), hint)
	if c.verbose {
		fmt.Fprintf(c.errs, "%s\n%s", versionLine(), stack)
	}
}
