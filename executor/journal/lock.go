package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// ErrLocked is why a run cannot be opened that another process writes.
var ErrLocked = errors.New("the run is being written by another process")

// lockedError says who holds a lock.
type lockedError struct{ who string }

func (e *lockedError) Error() string        { return "is being written by " + e.who }
func (e *lockedError) Is(target error) bool { return target == ErrLocked }

// owner is what stands in a lock: the process and its machine.
func owner() []byte {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return fmt.Appendf(nil, "%d %s\n", os.Getpid(), host)
}

// readOwner returns what owner wrote.
func readOwner(path string) (pid int, host string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, ""
	}
	number, host, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	pid, err = strconv.Atoi(number)
	if err != nil || pid <= 0 {
		return 0, ""
	}
	return pid, host
}

func heldBy(path string) error {
	pid, host := readOwner(path)
	if pid == 0 {
		return &lockedError{"another process"}
	}
	if _, mine, _ := strings.Cut(strings.TrimSpace(string(owner())), " "); host == mine {
		return &lockedError{fmt.Sprintf("process %d", pid)}
	}
	return &lockedError{fmt.Sprintf("process %d on %s", pid, host)}
}

// patiently tries to lock a few times within a fifth of a second, since those
// who only look hold the lock for a moment.
func patiently(lock func() error) error {
	err := lock()
	for range 10 {
		if err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
		err = lock()
	}
	return err
}

// pidPath is where a lock by process id stands, beside the file for flock.
func pidPath(path string) string { return path + ".pid" }

// lockByPid takes a lock that is a file with the process in it. One left by a
// process that no longer runs is taken over. Two processes that take over the
// same one in the same instant are told apart by what stands in it afterwards.
func lockByPid(path string) (unlock func() error, err error) {
	mine := string(owner())
	for range 3 {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			if lockedByPid(path) {
				return nil, heldBy(path)
			}
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		_, err = f.WriteString(mine)
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			return nil, err
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != mine {
			continue
		}
		return func() error { return os.Remove(path) }, nil
	}
	return nil, heldBy(path)
}

// lockedByPid reports whether the process in the file runs, as far as can be
// told: one on another machine is believed to.
func lockedByPid(path string) bool {
	pid, host := readOwner(path)
	if pid == 0 {
		// Being written this moment, or torn: then it is old.
		info, err := os.Stat(path)
		return err == nil && time.Since(info.ModTime()) < time.Minute
	}
	_, mine, _ := strings.Cut(strings.TrimSpace(string(owner())), " ")
	return host != mine || alive(pid)
}
