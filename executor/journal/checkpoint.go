package journal

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A checkpoint stands in checkpoints/step-<step>. The endings mark one that
// another of the same step is about to replace, and one that was set aside
// because the run went on from an earlier one.
const (
	stepPrefix = "step-"
	oldEnding  = ".old"
	badEnding  = ".aside"
)

// Checkpoint is one that is whole: its files have the sizes and sums that its
// manifest says.
type Checkpoint struct {
	Step   int64
	Folder string
	Files  []string // sorted, with slashes
}

// Path returns where a file of the checkpoint stands.
func (c *Checkpoint) Path(name string) string {
	return filepath.Join(c.Folder, filepath.FromSlash(name))
}

// Writer takes the files of a checkpoint.
type Writer struct {
	disk  filesystem
	dir   string
	files map[string]sum // what went through File
}

// File writes a file of the checkpoint, whose name may have folders in it with
// slashes. fill's writer is buffered.
func (w *Writer) File(name string, fill func(w io.Writer) error) (err error) {
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	if !filepath.IsLocal(filepath.FromSlash(name)) || name == manifestName {
		return errorf(path, "%q cannot name a file of a checkpoint", name)
	}
	if err := makeFolders(w.disk, filepath.Dir(path)); err != nil {
		return err
	}
	f, err := w.disk.open(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return fileError(path, err)
	}
	s := newSum()
	b := bufio.NewWriterSize(io.MultiWriter(f, s), 1<<16)
	err = fill(b)
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = cmp.Or(err, f.Close()); err != nil {
		return fileError(path, err)
	}
	w.files[filepath.ToSlash(filepath.Clean(name))] = s.done()
	return nil
}

// Save writes the checkpoint of a step, whole or not at all, and durably; then
// all but the newest keep (at least one) are removed. write gives the files.
// The rows up to the step, which are logged before, become durable too. An error
// leaves the earlier checkpoints as they were, unless it comes of removing
// one: then the new one is in place.
func (r *Run) Save(step int64, keep int, write func(w *Writer) error) (err error) {
	path := r.checkpointPath(step)
	if r.metrics == nil {
		return errorf(path, "a run that was opened is resumed before it saves")
	}
	if step < 0 {
		return errorf(path, "step %d is negative", step)
	}
	if err := r.sync(); err != nil {
		return err
	}
	if err := makeFolders(r.disk, r.path(checkpointsName)); err != nil {
		return err
	}
	temp := temporary(path)
	if err := r.disk.mkdir(temp); err != nil {
		return fileError(path, err)
	}
	defer func() {
		if err != nil {
			_ = removeAll(r.disk, temp) // the error that led here says more
		}
	}()
	w := &Writer{disk: r.disk, dir: temp, files: map[string]sum{}}
	if err := write(w); err != nil {
		return fileError(path, err)
	}
	if err := w.seal(step); err != nil {
		return err
	}
	if err := r.install(temp, path); err != nil {
		return err
	}
	return r.prune(step, keep)
}

// install renames a sealed folder to its name. A checkpoint of the same step
// that is there keeps a name under which Latest finds it until then.
func (r *Run) install(temp, path string) error {
	dir := filepath.Dir(path)
	if _, err := r.disk.stat(path); err == nil {
		if err := r.remove(path + oldEnding); err != nil {
			return err
		}
		if err := r.disk.rename(path, path+oldEnding); err != nil {
			return fileError(path, err)
		}
		if err := r.disk.syncFolder(dir); err != nil {
			return fileError(dir, err)
		}
	}
	if err := r.disk.rename(temp, path); err != nil {
		return fileError(path, err)
	}
	if err := r.disk.syncFolder(dir); err != nil {
		return fileError(dir, err)
	}
	return nil
}

// prune removes checkpoints before the one of step, which is durable, so that
// keep are left. What cannot be used doesn't count among them. One that was
// set aside goes when all of those left have passed it.
func (r *Run) prune(step int64, keep int) error {
	all, err := listCheckpoints(r.disk, r.Folder)
	if err != nil {
		return err
	}
	left, oldest := map[string]bool{}, step
	for _, c := range all { // newest first
		if c.ending == "" && (c.step == step || c.step < step && len(left) < keep && glance(r.disk, c.path) == nil) {
			left[c.path], oldest = true, c.step
		}
	}
	for _, c := range all {
		if left[c.path] || c.step > step || c.ending == badEnding && c.step >= oldest {
			continue
		}
		if err := r.remove(c.path); err != nil {
			return err
		}
	}
	return nil
}

// restore gives the one checkpoint of a step its name back that a process
// killed while it replaced it left under another.
func (r *Run) restore() error {
	all, err := listCheckpoints(r.disk, r.Folder)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.ending != oldEnding {
			continue
		}
		path := r.checkpointPath(c.step)
		if _, err := r.disk.stat(path); err == nil {
			if _, err := openCheckpoint(r.disk, path, c.step); err != nil {
				continue // Latest will find the old one
			}
			if err := r.remove(c.path); err != nil {
				return err
			}
			continue
		}
		if err := r.disk.rename(c.path, path); err != nil {
			return fileError(c.path, err)
		}
		if err := r.disk.syncFolder(filepath.Dir(path)); err != nil {
			return fileError(path, err)
		}
	}
	return nil
}

// remove takes a checkpoint away: first its name, so that no crash leaves half
// of it under that.
func (r *Run) remove(path string) error {
	temp := temporary(path)
	err := r.disk.rename(path, temp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = r.disk.syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fileError(path, err)
	}
	return removeAll(r.disk, temp)
}

// setAside renames the checkpoints after step: the run goes on from there.
func (r *Run) setAside(step int64) error {
	all, err := listCheckpoints(r.disk, r.Folder)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.step <= step || c.ending == badEnding {
			continue
		}
		aside := r.checkpointPath(c.step) + badEnding
		if err := r.remove(aside); err != nil {
			return err
		}
		if err := r.disk.rename(c.path, aside); err != nil {
			return fileError(c.path, err)
		}
	}
	dir := r.path(checkpointsName)
	if _, err := r.disk.stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := r.disk.syncFolder(dir); err != nil {
		return fileError(dir, err)
	}
	return nil
}

// Latest returns the newest checkpoint of the run that is whole, or nil if
// there is none at all. Newer ones that are not whole are reported, a line
// each. If there are some and none can be used, that is an error.
func (r *Run) Latest() (c *Checkpoint, warnings []string, err error) {
	return latest(r.disk, r.Folder)
}

// Latest is Run.Latest for a run folder that others may be writing.
func Latest(folder string) (c *Checkpoint, warnings []string, err error) {
	return latest(osDisk{}, folder)
}

func latest(d filesystem, folder string) (*Checkpoint, []string, error) {
	all, err := listCheckpoints(d, folder)
	if err != nil {
		return nil, nil, err
	}
	var warnings []string
	for _, e := range all {
		if e.ending == badEnding {
			continue
		}
		c, err := openCheckpoint(d, e.path, e.step)
		if err == nil {
			return c, warnings, nil
		}
		warnings = append(warnings, oneLine(err))
	}
	if len(warnings) == 0 {
		return nil, nil, nil
	}
	return nil, warnings, errorf(filepath.Join(folder, checkpointsName),
		"none of the %d here can be used; the newest: %s", len(warnings), warnings[0])
}

func (r *Run) checkpointPath(step int64) string {
	return filepath.Join(r.path(checkpointsName), fmt.Sprintf("%s%08d", stepPrefix, step))
}

// entry is a folder that may hold a checkpoint.
type entry struct {
	path   string
	step   int64
	ending string
}

// listCheckpoints lists the checkpoints of a run, newest first; of the same
// step, the one in place comes first.
func listCheckpoints(d filesystem, folder string) ([]entry, error) {
	dir := filepath.Join(folder, checkpointsName)
	names, err := d.readDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(dir, err)
	}
	var all []entry
	for _, n := range names {
		base, ending := n.Name(), ""
		for _, e := range []string{oldEnding, badEnding} {
			if b, ok := strings.CutSuffix(base, e); ok {
				base, ending = b, e
			}
		}
		digits, ok := strings.CutPrefix(base, stepPrefix)
		step, err := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil || step < 0 {
			continue
		}
		all = append(all, entry{filepath.Join(dir, n.Name()), step, ending})
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.step, a.step), cmp.Compare(len(a.ending), len(b.ending)))
	})
	return all, nil
}
