package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
)

// Error is a checkpoint or a tensor file that cannot be used, or could not be
// written. Every error of this package and of executor/tensorfile is one, in
// the sense of errors.As, so that a command can tell bad data from its own
// mistakes. Its text is one line.
type Error struct {
	File string // as the caller named it, or the shard inside a folder
	Msg  string // the fact
	Err  error  // what the operating system said, or nil
}

func (e *Error) Error() string { return e.File + ": " + e.Msg }

// Unwrap returns the cause, so that errors.Is(err, fs.ErrNotExist) works.
func (e *Error) Unwrap() error { return e.Err }

// errorf returns an Error about file.
func errorf(file, format string, args ...any) *Error {
	return &Error{File: file, Msg: fmt.Sprintf(format, args...)}
}

// FileError returns an Error about file for what the operating system or a
// decoder said. An err that is an Error already is returned as it is.
func FileError(file string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{File: file, Msg: reason(err), Err: err}
}

// reason is the text of err without the path that the system puts into it.
func reason(err error) string {
	pe, ok := err.(*fs.PathError)
	switch {
	case !ok:
		return err.Error()
	case errors.Is(err, fs.ErrNotExist):
		return "no such file or folder"
	}
	return "cannot " + pe.Op + ": " + pe.Err.Error()
}
