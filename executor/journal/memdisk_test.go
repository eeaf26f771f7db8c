package journal

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// errCrash is what every operation returns after the machine has stopped.
var errCrash = errors.New("the machine has stopped")

// memDisk is a disk in memory that knows what is durable: the content of a
// file when it is flushed, a name when its folder is. After a set number of
// operations that change anything it stops.
type memDisk struct {
	root *memNode
	left int   // changes until it stops or fails; negative: never
	fail error // what fails then, once; nil: everything stops
	done int   // changes so far
}

// memNode is a file (names == nil) or a folder.
type memNode struct {
	data, durable       []byte
	names, durableNames map[string]*memNode
}

func newMemDisk() *memDisk { return &memDisk{root: newMemFolder(), left: -1} }

func newMemFolder() *memNode {
	return &memNode{names: map[string]*memNode{}, durableNames: map[string]*memNode{}}
}

// change counts an operation, and stops or fails when it is time.
func (d *memDisk) change() error {
	if d.left == 0 {
		if d.fail == nil {
			return errCrash
		}
		d.left = -1
		return d.fail
	}
	d.left--
	d.done++
	return nil
}

// crash returns the disk as the machine finds it when it starts again.
// names: names that were not flushed are there all the same. content: how much
// of the content that was not flushed is there, from 0 to 1.
func (d *memDisk) crash(names bool, content float64) *memDisk {
	return &memDisk{root: d.root.crash(names, content), left: -1}
}

func (n *memNode) crash(names bool, content float64) *memNode {
	if n.names == nil {
		data := n.durable
		if extra := len(n.data) - len(n.durable); extra > 0 {
			data = n.data[:len(n.durable)+int(content*float64(extra))]
		} else if content == 1 {
			data = n.data
		}
		return &memNode{data: slices.Clone(data), durable: slices.Clone(data)}
	}
	out := newMemFolder()
	from := n.durableNames
	if names {
		from = n.names
	}
	for name, child := range from {
		out.names[name] = child.crash(names, content)
	}
	out.durableNames = maps.Clone(out.names)
	return out
}

func (d *memDisk) find(path string) (*memNode, error) {
	node := d.root
	for _, part := range split(path) {
		if node.names == nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
		}
		if node = node.names[part]; node == nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
	}
	return node, nil
}

func split(path string) []string {
	var parts []string
	for path = filepath.Clean(path); path != "." && path != "/"; path = filepath.Dir(path) {
		parts = append(parts, filepath.Base(path))
	}
	slices.Reverse(parts)
	return parts
}

func (d *memDisk) parent(path string) (*memNode, string, error) {
	p, err := d.find(filepath.Dir(path))
	return p, filepath.Base(path), err
}

func (d *memDisk) mkdir(path string) error {
	if err := d.change(); err != nil {
		return err
	}
	p, base, err := d.parent(path)
	if err != nil {
		return err
	}
	if p.names[base] != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: fs.ErrExist}
	}
	p.names[base] = newMemFolder()
	return nil
}

func (d *memDisk) open(path string, flag int) (file, error) {
	p, base, err := d.parent(path)
	if err != nil {
		return nil, err
	}
	node := p.names[base]
	switch {
	case node != nil && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrExist}
	case node == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	case node == nil:
		if err := d.change(); err != nil {
			return nil, err
		}
		node = &memNode{}
		p.names[base] = node
	}
	return &memFile{disk: d, node: node}, nil
}

func (d *memDisk) stat(path string) (fs.FileInfo, error) {
	node, err := d.find(path)
	if err != nil {
		return nil, err
	}
	return memInfo{filepath.Base(path), node}, nil
}

func (d *memDisk) readDir(path string) ([]fs.DirEntry, error) {
	node, err := d.find(path)
	if err != nil {
		return nil, err
	}
	if node.names == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	var list []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(node.names)) {
		list = append(list, fs.FileInfoToDirEntry(memInfo{name, node.names[name]}))
	}
	return list, nil
}

// rename moves a name within a folder, as journalled file systems do: at once,
// on the disk too.
func (d *memDisk) rename(from, to string) error {
	if err := d.change(); err != nil {
		return err
	}
	p, base, err := d.parent(from)
	if err != nil {
		return err
	}
	node := p.names[base]
	if node == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	q, target, err := d.parent(to)
	if err != nil {
		return err
	}
	if there := q.names[target]; there != nil && there.names != nil && len(there.names) > 0 {
		return &fs.PathError{Op: "rename", Path: to, Err: syscall.ENOTEMPTY}
	}
	delete(p.names, base)
	q.names[target] = node
	return nil
}

func (d *memDisk) remove(path string) error {
	if err := d.change(); err != nil {
		return err
	}
	p, base, err := d.parent(path)
	if err != nil {
		return err
	}
	node := p.names[base]
	switch {
	case node == nil:
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	case len(node.names) > 0:
		return &fs.PathError{Op: "remove", Path: path, Err: syscall.ENOTEMPTY}
	}
	delete(p.names, base)
	return nil
}

func (d *memDisk) syncFolder(path string) error {
	if err := d.change(); err != nil {
		return err
	}
	node, err := d.find(path)
	if err != nil {
		return err
	}
	node.durableNames = maps.Clone(node.names)
	return nil
}

// lock makes the file, and nothing more: the processes of these tests follow
// each other.
func (d *memDisk) lock(path string) (func() error, error) {
	f, err := d.open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}

type memFile struct {
	disk *memDisk
	node *memNode
	at   int64
}

func (f *memFile) Read(b []byte) (int, error) {
	if f.at >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.data[f.at:])
	f.at += int64(n)
	return n, nil
}

// Write appends. One that fails leaves half of what was to be written.
func (f *memFile) Write(b []byte) (int, error) {
	if err := f.disk.change(); err != nil {
		n := len(b) / 2
		f.node.data = append(slices.Clip(f.node.data), b[:n]...)
		return n, err
	}
	f.node.data = append(slices.Clip(f.node.data), b...)
	return len(b), nil
}

func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		offset += int64(len(f.node.data))
	}
	f.at = offset
	return offset, nil
}

func (f *memFile) Truncate(size int64) error {
	if f.disk.left == 0 && f.disk.fail == nil {
		return errCrash
	}
	f.node.data = f.node.data[:size:size]
	return nil
}

func (f *memFile) Sync() error {
	if err := f.disk.change(); err != nil {
		return err
	}
	f.node.durable = slices.Clone(f.node.data)
	return nil
}

func (f *memFile) Close() error { return nil }

type memInfo struct {
	name string
	node *memNode
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return int64(len(i.node.data)) }
func (i memInfo) IsDir() bool        { return i.node.names != nil }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o777
	}
	return 0o666
}
