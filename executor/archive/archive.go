// Package archive reads zip archives that hold tensors: .npz, and what PyTorch
// saves. It proves the directory before anything is read, so that memory is
// bounded by what the directory admits to, and says where stored entries lie,
// so that they can be used where the file is mapped.
//
// Not here: extracting to files; names of entries never become paths.
package archive

import (
	"archive/zip"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// Limits say how far an archive may expand: to Free bytes, or to Ratio times
// its own size if that is more; beyond that it is taken for a bomb. Arrays of
// zeros or masks compress a thousandfold, so the ratio alone is no sign of one.
type Limits struct{ Free, Ratio uint64 }

// Usual are the limits of files of weights.
var Usual = Limits{Free: 1 << 30, Ratio: 100}

// deflateRatio is the most that deflate can compress: 258 bytes take two bits.
const deflateRatio = 1032

// Entry is one file of an archive.
type Entry struct {
	Name   string
	Size   int64 // bytes of its contents
	Stored bool  // the contents lie in the archive as they are
	Offset int64 // of its bytes in the archive
	file   *zip.File
}

// Archive is the directory of a zip archive.
type Archive struct {
	Entries []*Entry // in the order of the directory; folders are left out
	index   map[string]*Entry
}

// ErrFormat says that a file is no zip archive at all.
var ErrFormat = zip.ErrFormat

// Open reads and proves the directory of the archive of size bytes in r:
// entries lie inside the file and not over each other, expand no further than
// their compression can, and to no more than the limits; names differ.
func Open(r io.ReaderAt, size int64, l Limits) (*Archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, err
	}
	a := &Archive{index: map[string]*Entry{}}
	var packed, expanded uint64
	for _, f := range z.File {
		most := f.CompressedSize64
		if f.CompressedSize64 > uint64(size)-packed {
			return nil, fmt.Errorf("entries take more than the %d bytes of the file", size)
		}
		packed += f.CompressedSize64
		if f.Method != zip.Store {
			most *= deflateRatio
		}
		if f.UncompressedSize64 > most {
			return nil, fmt.Errorf("entry %q says that it expands from %d bytes to %d, which is impossible", Short(f.Name), f.CompressedSize64, f.UncompressedSize64)
		}
		if expanded += f.UncompressedSize64; expanded > max(l.Free, l.Ratio*uint64(size)) {
			return nil, fmt.Errorf("expands from %d bytes to %d or more, more than the limit of %d bytes or %d times its size", size, expanded, l.Free, l.Ratio)
		}
		if err := a.add(f, size); err != nil {
			return nil, err
		}
	}
	return a, a.apart()
}

// add takes one entry up.
func (a *Archive) add(f *zip.File, size int64) error {
	switch {
	case f.FileInfo().IsDir() && f.UncompressedSize64 == 0:
		return nil
	case !fs.ValidPath(f.Name):
		return fmt.Errorf("entry %q has a name that leads out of the archive", Short(f.Name))
	case a.index[f.Name] != nil:
		return fmt.Errorf("entry %q is there twice", Short(f.Name))
	case f.Flags&1 != 0:
		return fmt.Errorf("entry %q is encrypted", Short(f.Name))
	}
	offset, err := f.DataOffset()
	if err != nil {
		return fmt.Errorf("entry %q: is damaged: %w", Short(f.Name), err)
	}
	if offset > size-int64(f.CompressedSize64) {
		return fmt.Errorf("entry %q ends after the %d bytes of the file", Short(f.Name), size)
	}
	stored := f.Method == zip.Store
	if stored && f.CompressedSize64 != f.UncompressedSize64 {
		return fmt.Errorf("entry %q is stored, but says that its %d bytes are %d", Short(f.Name), f.CompressedSize64, f.UncompressedSize64)
	}
	e := &Entry{Name: f.Name, Size: int64(f.UncompressedSize64), Stored: stored, Offset: offset, file: f}
	a.index[f.Name] = e
	a.Entries = append(a.Entries, e)
	return nil
}

// apart refuses entries that share bytes.
func (a *Archive) apart() error {
	order := slices.Clone(a.Entries)
	slices.SortFunc(order, func(x, y *Entry) int {
		return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.file.CompressedSize64, y.file.CompressedSize64))
	})
	for i := 1; i < len(order); i++ {
		if x, y := order[i-1], order[i]; x.Offset+int64(x.file.CompressedSize64) > y.Offset {
			return fmt.Errorf("entries %q and %q share bytes", Short(x.Name), Short(y.Name))
		}
	}
	return nil
}

// Lookup finds an entry by its name; nil if there is none.
func (a *Archive) Lookup(name string) *Entry { return a.index[name] }

// Read reads an entry of at most limit bytes and compares its checksum.
func (e *Entry) Read(limit int64) ([]byte, error) {
	if e.Size > limit {
		return nil, fmt.Errorf("has %d bytes, more than the limit of %d", e.Size, limit)
	}
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, e.Size)
	_, err = io.ReadFull(r, data)
	if err == nil || err == io.EOF {
		_, err = r.Read(make([]byte, 1)) // the checksum is compared at the end
	}
	switch {
	case r.Damage != nil:
		return nil, r.Damage
	case err != io.EOF:
		return nil, e.damage(err)
	}
	return data, nil
}

// Open reads an entry from its beginning; what is read is no longer than Size.
func (e *Entry) Open() (*Reader, error) {
	r, err := e.file.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return nil, fmt.Errorf("is compressed by method %d; want stored or deflate", e.file.Method)
	}
	if err != nil {
		return nil, err
	}
	return &Reader{r: r, e: e}, nil
}

// Reader reads an entry, and keeps what was wrong with it, so that damage is
// not taken for the end of a short array.
type Reader struct {
	r      io.ReadCloser
	e      *Entry
	Damage error
}

func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.Damage = r.e.damage(err)
		err = r.Damage
	}
	return n, err
}

// Close ends the reading.
func (r *Reader) Close() error { return r.r.Close() }

func (e *Entry) damage(err error) error {
	switch err {
	case nil, io.EOF, io.ErrUnexpectedEOF, zip.ErrFormat:
		return fmt.Errorf("is damaged: it does not expand to the %d bytes it says", e.Size)
	}
	return fmt.Errorf("is damaged: %w", err)
}

// Short cuts a name of unbounded length for a message.
func Short(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
