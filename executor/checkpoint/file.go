package checkpoint

// File is a regular file whose bytes are looked at where they lie: it is mapped
// into memory where the system can, else read piece by piece.
type File struct {
	path string
	size int64
	in   contents
}

// OpenFile opens a file. Every error is an *Error.
func OpenFile(path string) (*File, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	var in contents = newFileReader(f)
	if size > 0 { // nothing can't be mapped
		in, err = mapFile(f, size)
	}
	if err != nil {
		return nil, FileError(path, err)
	}
	return &File{path, size, in}, nil
}

// Path is what OpenFile was given.
func (f *File) Path() string { return f.path }

// Size is the length of the file in bytes.
func (f *File) Size() int64 { return f.size }

// View returns the n bytes at offset, which stay valid until Close and must
// not be changed.
func (f *File) View(offset, n int64) ([]byte, error) {
	if offset < 0 || n < 0 || offset > f.size || n > f.size-offset {
		return nil, errorf(f.path, "bytes %d to %d are beyond the end of the file, at %d", offset, offset+n, f.size)
	}
	if n == 0 {
		return nil, nil
	}
	b, err := f.in.view(offset, n)
	if err != nil {
		return nil, FileError(f.path, err)
	}
	return b, nil
}

// Release says that the n bytes at offset are not needed for now.
func (f *File) Release(offset, n int64) { f.in.release(offset, n) }

// Close gives the file back; views become invalid.
func (f *File) Close() error {
	if err := f.in.close(); err != nil {
		return FileError(f.path, err)
	}
	return nil
}
