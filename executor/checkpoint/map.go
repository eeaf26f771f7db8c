package checkpoint

import (
	"io"
	"os"
	"sync"
)

// contents gives views of a file. mapFile chooses the implementation: memory
// mapping where the system has it, and fileReader elsewhere.
type contents interface {
	io.ReaderAt
	// view returns the n bytes at offset, which stay valid until close.
	view(offset, n int64) ([]byte, error)
	// release says that the n bytes at offset are not needed for now.
	release(offset, n int64)
	// releaseAll says that nothing is needed for now.
	releaseAll()
	// fetch says that the n bytes at offset will be needed soon.
	fetch(offset, n int64)
	close() error
}

// fileReader reads what is asked for into memory and keeps it.
type fileReader struct {
	file *os.File
	mu   sync.Mutex
	read map[[2]int64][]byte // by offset and length
}

func newFileReader(f *os.File) *fileReader {
	return &fileReader{file: f, read: map[[2]int64][]byte{}}
}

func (r *fileReader) view(offset, n int64) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [2]int64{offset, n}
	if b, ok := r.read[key]; ok {
		return b, nil
	}
	b := make([]byte, n)
	if _, err := r.file.ReadAt(b, offset); err != nil {
		return nil, err
	}
	r.read[key] = b
	return b, nil
}

func (r *fileReader) ReadAt(p []byte, offset int64) (int, error) { return r.file.ReadAt(p, offset) }

// release does nothing: an earlier view must stay valid.
func (r *fileReader) release(offset, n int64) {}

func (r *fileReader) releaseAll() {}

func (r *fileReader) fetch(offset, n int64) {}

func (r *fileReader) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = nil
	return r.file.Close()
}
