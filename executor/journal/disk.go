package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// filesystem is every operation that this package does on a disk, so that a
// test can stop the world after each of them. osDisk is the real one.
type filesystem interface {
	mkdir(path string) error
	open(path string, flag int) (file, error) // as os.OpenFile
	stat(path string) (fs.FileInfo, error)
	readDir(path string) ([]fs.DirEntry, error) // sorted by name
	rename(from, to string) error               // to is no folder with content
	remove(path string) error                   // a file, or an empty folder
	syncFolder(path string) error               // names in it survive a power cut
	lock(path string) (unlock func() error, err error)
}

type file interface {
	io.ReadWriteCloser
	io.Seeker
	Truncate(size int64) error
	Sync() error
}

type osDisk struct{}

func (osDisk) mkdir(path string) error                    { return os.Mkdir(path, 0o777) }
func (osDisk) stat(path string) (fs.FileInfo, error)      { return os.Stat(path) }
func (osDisk) readDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }
func (osDisk) rename(from, to string) error               { return os.Rename(from, to) }
func (osDisk) remove(path string) error                   { return os.Remove(path) }
func (osDisk) syncFolder(path string) error               { return syncFolder(path) }
func (osDisk) lock(path string) (func() error, error)     { return lockFile(path) }

func (osDisk) open(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, 0o666)
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return f, nil
}

// temporary returns a name beside path for what is not complete yet.
func temporary(path string) string {
	dir, base := filepath.Split(path)
	return fmt.Sprintf("%s.%s.%08x.tmp", dir, base, rand.Uint32())
}

// isTemporary reports whether name is one that temporary gives, for base if
// that is not empty.
func isTemporary(name, base string) bool {
	return strings.HasPrefix(name, "."+base) && strings.HasSuffix(name, ".tmp") &&
		(base == "" || len(name) == len(base)+len("..00000000.tmp"))
}

// makeFolders makes the folder at path and those above it, durably.
func makeFolders(d filesystem, path string) error {
	path = filepath.Clean(path)
	info, err := d.stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return errorf(path, "is not a folder")
	case !errors.Is(err, fs.ErrNotExist):
		return fileError(path, err)
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeFolders(d, parent); err != nil {
			return err
		}
	}
	if err := d.mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fileError(path, err)
	}
	if err := d.syncFolder(parent); err != nil {
		return fileError(parent, err)
	}
	return nil
}

// readFile reads a whole file.
func readFile(d filesystem, path string) ([]byte, error) {
	f, err := d.open(path, os.O_RDONLY)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, fileError(path, fmt.Errorf("cannot read: %w", err))
	}
	return data, nil
}

// writeFile makes a file with this content and flushes it; its name is not
// durable until its folder is flushed.
func writeFile(d filesystem, path string, data []byte) error {
	if err := fillFile(d, path, data); err != nil {
		return fileError(path, err)
	}
	return nil
}

func fillFile(d filesystem, path string, data []byte) error {
	f, err := d.open(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	if len(data) > 0 {
		_, err = f.Write(data)
	}
	return cmp.Or(err, f.Sync(), f.Close())
}

// replaceFile writes the file at path whole or not at all, durably.
func replaceFile(d filesystem, path string, data []byte) error {
	temp := temporary(path)
	err := fillFile(d, temp, data)
	if err == nil {
		err = d.rename(temp, path)
	}
	if err != nil {
		_ = d.remove(temp) // the error that led here says more
		return fileError(path, err)
	}
	dir := filepath.Dir(path)
	if err := d.syncFolder(dir); err != nil {
		return fileError(dir, err)
	}
	return nil
}

// removeAll removes a file, or a folder and what is in it. What is not there
// is no error.
func removeAll(d filesystem, path string) error {
	info, err := d.stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.IsDir() {
		entries, err := d.readDir(path)
		if err != nil {
			return fileError(path, err)
		}
		for _, e := range entries {
			if err := removeAll(d, filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := d.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError(path, err)
	}
	return nil
}

// appender is a file that grows by whole records.
type appender struct {
	path string
	f    file
	size int64 // of the whole records
	bad  error // why no more can be appended
}

// openAppender opens a file that is there, empty, to append to it.
func openAppender(d filesystem, path string) (*appender, error) {
	f, err := d.open(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, fileError(path, err)
	}
	return &appender{path: path, f: f}, nil
}

// append writes a record with one call. After an error the file ends with the
// record before, so that a disk with room again takes the next one.
func (a *appender) append(record []byte) error {
	if a.bad != nil {
		return a.bad
	}
	if _, err := a.f.Write(record); err != nil {
		if e := a.f.Truncate(a.size); e != nil {
			a.bad = fileError(a.path, err)
		}
		return fileError(a.path, err)
	}
	a.size += int64(len(record))
	return nil
}

func (a *appender) sync() error {
	if err := a.f.Sync(); err != nil {
		return fileError(a.path, err)
	}
	return nil
}

func (a *appender) close() error {
	if err := a.f.Close(); err != nil {
		return fileError(a.path, err)
	}
	return nil
}
