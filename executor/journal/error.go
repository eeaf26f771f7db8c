package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"pipe.dev/executor/checkpoint"
)

// errorf returns an error about a file or folder.
func errorf(file, format string, args ...any) error {
	return &checkpoint.Error{File: file, Msg: fmt.Sprintf(format, args...)}
}

// fileError returns an error about file for what the operating system said,
// in the words of a person where the cause is a common one.
func fileError(file string, err error) error {
	var known *checkpoint.Error
	if errors.As(err, &known) {
		return err
	}
	msg := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		msg = "cannot write: the disk is full"
	case errors.Is(err, syscall.EROFS):
		msg = "cannot write: the file system is read-only"
	case errors.Is(err, syscall.ENOTDIR):
		msg = "is not a folder"
	case errors.Is(err, fs.ErrPermission):
		msg = "permission denied"
	default:
		return checkpoint.FileError(file, withoutPaths(err))
	}
	return &checkpoint.Error{File: file, Msg: msg, Err: err}
}

// withoutPaths shortens an error of a rename, which names two paths.
func withoutPaths(err error) error {
	if le, ok := err.(*os.LinkError); ok {
		return fmt.Errorf("cannot %s: %w", le.Op, le.Err)
	}
	return err
}

// oneLine is the text of err on one line.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
