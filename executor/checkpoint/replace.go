package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Replace writes the file at path whole or not at all: write fills a temporary
// file in the same folder, which is flushed to the disk and renamed, and the
// folder is flushed too. An earlier file at path stays as it was until then,
// and for those who have it open. Every error is an *Error.
func Replace(path string, write func(w io.Writer) error) (err error) {
	dir, base := filepath.Split(path)
	f, err := createBeside(dir, base)
	if err != nil {
		return FileError(path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = FileError(path, err)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		var le *os.LinkError
		if errors.As(err, &le) {
			err = fmt.Errorf("cannot put the new file in place: %w", le.Err)
		}
		return err
	}
	return SyncFolder(filepath.Clean(dir))
}

// createBeside makes a new file next to base, with the usual permissions.
func createBeside(dir, base string) (*os.File, error) {
	for {
		name := fmt.Sprintf("%s.%s.%08x.tmp", dir, base, rand.Uint32())
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}
