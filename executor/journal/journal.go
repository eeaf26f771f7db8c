// Package journal keeps everything that a training run writes: its folder with
// the documents it was made from, metrics as JSON lines and as TensorBoard
// event files, plots, and checkpoints that a crash at any instant leaves
// usable; and it lists and compares runs.
//
//	runs/<name>-<first 12 of hash>/
//	    run.json                    name, hash, when started, by what, where
//	    resolved.cue, plan.txt ...  files that the caller gives
//	    metrics.jsonl               one row a line
//	    events.out.tfevents.*       the same rows for TensorBoard
//	    plots/*.png
//	    checkpoints/step-00000500/  files, and manifest.json with their sums
//	    lock                        held by the process that writes
//
// It does not know what a checkpoint holds, does not train, and prints
// nothing. Every error about a file is a *checkpoint.Error: one line.
package journal

import (
	"cmp"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"pipe.dev/executor/checkpoint"
)

// Names of what stands in a run folder.
const (
	aboutName       = "run.json"
	metricsName     = "metrics.jsonl"
	resolvedName    = "resolved.cue"
	plotsName       = "plots"
	checkpointsName = "checkpoints"
	lockName        = "lock"
)

// hashDigits is how much of the hash a folder's name carries.
const hashDigits = 12

// Runs is a folder of runs, and what is noted in each run made there. Only
// Root must be given.
type Runs struct {
	Root    string
	Version string            // of pipe
	Host    map[string]string // facts about the machine
	Steps   int64             // planned, or 0 if not known
	Now     func() time.Time  // nil: the system's clock

	disk filesystem // nil: the operating system's
}

// Run is a run folder that this process writes. Its methods are for one
// goroutine at a time.
type Run struct {
	About  About
	Folder string

	disk    filesystem
	now     func() time.Time
	unlock  func() error
	metrics *appender // nil until Create or Resume
	events  *appender // nil until the first row
	written int64     // the step of the last row, or -1
	opened  bool      // by Open, not made by Create
	resumed int64     // the step that Resume was told, or -1
	anew    About     // what is said of a run that Resume begins anew
}

// Folder returns where the run of this name and hash stands.
func (r Runs) Folder(name, hash string) string {
	return filepath.Join(r.Root, name+"-"+hash[:min(len(hash), hashDigits)])
}

// Create makes a run folder, whole or not at all, with the given files (by
// name, without folders), and locks it. If the run is there already, the error
// is fs.ErrExist in the sense of errors.Is, and Open opens it.
func (r Runs) Create(name, hash string, files map[string][]byte) (*Run, error) {
	r = r.filled()
	folder := r.Folder(name, hash)
	if err := checkNames(folder, name, hash, files); err != nil {
		return nil, err
	}
	if err := makeFolders(r.disk, r.Root); err != nil {
		return nil, err
	}
	if _, err := r.disk.readDir(folder); err == nil {
		return nil, alreadyThere(folder)
	}
	r.sweep(folder)
	run := &Run{
		About:  r.about(name, hash),
		Folder: folder, disk: r.disk, now: r.Now, written: -1, resumed: -1,
	}
	if err := run.create(files); err != nil {
		return nil, err
	}
	f, err := openAppender(r.disk, run.path(metricsName))
	if err != nil {
		run.Close()
		return nil, err
	}
	run.metrics = f
	return run, nil
}

// about is what is said of a run that begins now.
func (r Runs) about(name, hash string) About {
	return About{
		Name: name, Hash: hash, Started: r.Now().UTC().Round(time.Millisecond),
		Version: r.Version, Steps: r.Steps, Host: r.Host,
	}
}

// create fills a temporary folder, which it locks, and renames it.
func (r *Run) create(files map[string][]byte) (err error) {
	temp := temporary(r.Folder)
	if err := r.disk.mkdir(temp); err != nil {
		return fileError(temp, err)
	}
	defer func() {
		if err != nil {
			_ = removeAll(r.disk, temp) // the error that led here says more
			if r.unlock != nil {
				_ = r.unlock()
			}
		}
	}()
	if r.unlock, err = r.disk.lock(filepath.Join(temp, lockName)); err != nil {
		return fileError(temp, err)
	}
	about, err := r.About.encode()
	if err != nil {
		return fileError(temp, err)
	}
	all := maps.Clone(files)
	if all == nil {
		all = map[string][]byte{}
	}
	all[aboutName] = about
	all[metricsName] = nil
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := writeFile(r.disk, filepath.Join(temp, name), all[name]); err != nil {
			return err
		}
	}
	for _, name := range []string{checkpointsName, plotsName} {
		if err := r.disk.mkdir(filepath.Join(temp, name)); err != nil {
			return fileError(filepath.Join(temp, name), err)
		}
	}
	if err := r.disk.syncFolder(temp); err != nil {
		return fileError(temp, err)
	}
	if err := r.disk.rename(temp, r.Folder); err != nil {
		if _, there := r.disk.readDir(r.Folder); there == nil {
			return alreadyThere(r.Folder)
		}
		return fileError(r.Folder, err)
	}
	root := filepath.Dir(r.Folder)
	if err := r.disk.syncFolder(root); err != nil {
		return fileError(root, err)
	}
	return nil
}

// Open opens the run of this name and hash to write it on, and locks it. What
// a crash left half done is removed. Latest then says where to go on, and
// Resume must be called before anything is logged.
func (r Runs) Open(name, hash string) (*Run, error) {
	run, err := r.openFolder(r.Folder(name, hash))
	if err != nil {
		return nil, err
	}
	if run.About.Hash != hash {
		defer run.Close()
		return nil, errorf(run.path(aboutName), "is of hash %s, not %s: another run has this folder", run.About.Hash, hash)
	}
	return run, nil
}

// openFolder is Open for a run folder wherever it is; Root is not used.
func (r Runs) openFolder(folder string) (*Run, error) {
	r = r.filled()
	about, err := readAbout(r.disk, folder)
	if err != nil {
		return nil, err
	}
	unlock, err := r.disk.lock(filepath.Join(folder, lockName))
	if err != nil {
		return nil, fileError(folder, err)
	}
	run := &Run{
		About: about, Folder: folder, disk: r.disk, now: r.Now, unlock: unlock, opened: true, written: -1, resumed: -1,
		anew: r.about(about.Name, about.Hash),
	}
	if err := run.tidy(); err != nil {
		run.Close()
		return nil, err
	}
	return run, nil
}

// Path returns where a file of the run stands.
func (r *Run) path(name string) string { return filepath.Join(r.Folder, name) }

// ReadFile returns a file that was given to Create.
func (r *Run) ReadFile(name string) ([]byte, error) {
	return readFile(r.disk, r.path(name))
}

// Finish notes that the run did all its steps, durably.
func (r *Run) Finish() error {
	if err := r.sync(); err != nil {
		return err
	}
	about := r.About
	about.Finished = r.now().UTC().Round(time.Millisecond)
	return r.writeAbout(about)
}

// Close flushes the files to the disk and unlocks the folder. A run that was
// not finished is then an interrupted one.
func (r *Run) Close() error {
	err := r.sync()
	for _, a := range []*appender{r.metrics, r.events} {
		if a != nil {
			err = cmp.Or(err, a.close())
		}
	}
	r.metrics, r.events = nil, nil
	if r.unlock != nil {
		if e := r.unlock(); e != nil {
			err = cmp.Or(err, fileError(r.path(lockName), e))
		}
		r.unlock = nil
	}
	return err
}

// sync flushes rows and events to the disk.
func (r *Run) sync() error {
	var err error
	for _, a := range []*appender{r.metrics, r.events} {
		if a != nil {
			err = cmp.Or(err, a.sync())
		}
	}
	return err
}

func (r Runs) filled() Runs {
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.disk == nil {
		r.disk = osDisk{}
	}
	return r
}

func alreadyThere(folder string) error {
	return &checkpoint.Error{File: folder, Msg: "this run is there already", Err: fs.ErrExist}
}
