//go:build unix

package journal

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// syncFolder flushes the names in a folder. File systems that cannot do that
// say so, which is no failure.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

// lockFile takes the lock of a run by flock, which the system gives back when
// the process ends, however it ends. File systems without flock get a lock by
// process id.
func lockFile(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	err = patiently(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		defer f.Close()
		return nil, heldBy(path)
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOLCK):
		f.Close()
		return lockByPid(pidPath(path))
	case err != nil:
		f.Close()
		return nil, err
	}
	// A read-only mistake here only makes the message of another process poorer.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt(owner(), 0)
	}
	return f.Close, nil
}

// locked reports whether a process holds the lock. It takes the lock for a
// moment, which patiently allows for.
func locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true
	}
	return lockedByPid(pidPath(path))
}

// alive reports whether a process of this machine runs.
func alive(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}
