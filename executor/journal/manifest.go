package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// manifestName is the file of a checkpoint that says what its others are.
const manifestName = "manifest.json"

type manifest struct {
	Step  int64          `json:"step"`
	Files []manifestFile `json:"files"`
}

type manifestFile struct {
	Name   string `json:"name"` // with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// sum is the size and the SHA-256 of a file.
type sum struct {
	bytes  int64
	sha256 string
}

// summer computes a sum of what is written to it.
type summer struct {
	h hash.Hash
	n int64
}

func newSum() *summer { return &summer{h: sha256.New()} }

func (s *summer) Write(b []byte) (int, error) {
	s.n += int64(len(b))
	return s.h.Write(b)
}

func (s *summer) done() sum { return sum{s.n, hex.EncodeToString(s.h.Sum(nil))} }

// sumFile reads a file for its sum.
func sumFile(d filesystem, path string) (sum, error) {
	f, err := d.open(path, os.O_RDONLY)
	if err != nil {
		return sum{}, err
	}
	defer f.Close()
	s := newSum()
	if _, err := io.CopyBuffer(s, struct{ io.Reader }{f}, make([]byte, 1<<16)); err != nil {
		return sum{}, err
	}
	return s.done(), nil
}

// seal writes the manifest of the files that are in the folder and flushes all
// that is there, folders last.
func (w *Writer) seal(step int64) error {
	if err := w.gather(""); err != nil {
		return err
	}
	m := manifest{Step: step}
	if len(w.files) == 0 {
		return errorf(w.dir, "a checkpoint without files cannot be resumed from")
	}
	for _, name := range slices.Sorted(maps.Keys(w.files)) {
		s := w.files[name]
		m.Files = append(m.Files, manifestFile{name, s.bytes, s.sha256})
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fileError(w.dir, err)
	}
	if err := writeFile(w.disk, filepath.Join(w.dir, manifestName), append(data, '\n')); err != nil {
		return err
	}
	if err := w.disk.syncFolder(w.dir); err != nil {
		return fileError(w.dir, err)
	}
	return nil
}

// gather sums and flushes the files below prefix that did not come through
// File, and flushes the folders there.
func (w *Writer) gather(prefix string) error {
	dir := filepath.Join(w.dir, filepath.FromSlash(prefix))
	entries, err := w.disk.readDir(dir)
	if err != nil {
		return fileError(dir, err)
	}
	for _, e := range entries {
		name, path := prefix+e.Name(), filepath.Join(dir, e.Name())
		if e.IsDir() {
			if err := w.gather(name + "/"); err != nil {
				return err
			}
			if err := w.disk.syncFolder(path); err != nil {
				return fileError(path, err)
			}
			continue
		}
		if _, ok := w.files[name]; ok {
			continue
		}
		if name == manifestName {
			return errorf(path, "is the checkpoint's own")
		}
		if err := syncFile(w.disk, path); err != nil {
			return fileError(path, err)
		}
		if w.files[name], err = sumFile(w.disk, path); err != nil {
			return fileError(path, err)
		}
	}
	return nil
}

func syncFile(d filesystem, path string) error {
	f, err := d.open(path, os.O_RDWR)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openCheckpoint reads the manifest in a folder and proves each file by it.
func openCheckpoint(d filesystem, folder string, step int64) (*Checkpoint, error) {
	m, err := readManifest(d, folder)
	if err != nil {
		return nil, err
	}
	if m.Step != step {
		return nil, errorf(filepath.Join(folder, manifestName), "is of step %d, not %d", m.Step, step)
	}
	c := &Checkpoint{Step: step, Folder: folder}
	for _, f := range m.Files {
		path := c.Path(f.Name)
		info, err := statListed(d, path)
		if err != nil {
			return nil, err
		}
		if info.Size() != f.Bytes {
			return nil, errorf(path, "has %d bytes, but %d were saved", info.Size(), f.Bytes)
		}
		s, err := sumFile(d, path)
		if err != nil {
			return nil, fileError(path, err)
		}
		if s.sha256 != f.SHA256 {
			return nil, errorf(path, "is damaged: its SHA-256 is %.12s, but %.12s was saved", s.sha256, f.SHA256)
		}
		c.Files = append(c.Files, f.Name)
	}
	slices.Sort(c.Files)
	return c, nil
}

// glance is openCheckpoint without reading the files.
func glance(d filesystem, folder string) error {
	m, err := readManifest(d, folder)
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		path := filepath.Join(folder, filepath.FromSlash(f.Name))
		info, err := statListed(d, path)
		if err != nil {
			return err
		}
		if info.Size() != f.Bytes {
			return errorf(path, "has %d bytes, but %d were saved", info.Size(), f.Bytes)
		}
	}
	return nil
}

func statListed(d filesystem, path string) (fs.FileInfo, error) {
	info, err := d.stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errorf(path, "is missing")
	}
	if err != nil {
		return nil, fileError(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, errorf(path, "is not a file")
	}
	return info, nil
}

func readManifest(d filesystem, folder string) (manifest, error) {
	path := filepath.Join(folder, manifestName)
	var m manifest
	data, err := readFile(d, path)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, errorf(path, "is no manifest: %s", oneLine(err))
	}
	if len(m.Files) == 0 {
		return m, errorf(path, "is no manifest: it lists no files")
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return m, errorf(path, "lists %q, which is outside the checkpoint", f.Name)
		}
	}
	return m, nil
}
