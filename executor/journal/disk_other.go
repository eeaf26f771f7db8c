//go:build !unix

package journal

import "os"

// syncFolder does nothing: this system does not flush folders.
func syncFolder(path string) error { return nil }

// lockFile takes the lock of a run by process id.
func lockFile(path string) (unlock func() error, err error) {
	if f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, err
	} else if err := f.Close(); err != nil {
		return nil, err
	}
	return lockByPid(pidPath(path))
}

// locked reports whether a process holds the lock.
func locked(path string) bool { return lockedByPid(pidPath(path)) }

// alive reports whether a process of this machine runs.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	_ = p.Release() // only frees memory
	return true
}
