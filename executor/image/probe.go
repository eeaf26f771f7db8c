package image

import (
	"bytes"
	"fmt"
	"io"
)

// Head is how much of a file is read for its header, where that is enough.
const Head = 64 << 10

// Probe finds the size of a picture, as Decode gives it, without decoding it: from its first bytes where these tell it, else from all of it.
// size is how many bytes there are in r. A picture with more pixels than the options allow, and one whose end is missing, is an error.
// The first bytes, up to Head of them, are returned too.
func Probe(r io.ReaderAt, size int64, o Options) (width, height int, head []byte, err error) {
	if size > maxFile {
		return 0, 0, nil, fmt.Errorf("holds %d bytes; a picture may have %d at most", size, maxFile)
	}
	head = make([]byte, min(size, Head))
	if err := readAt(r, head, 0); err != nil {
		return 0, 0, nil, err
	}
	for _, f := range formats() {
		if !f.matches(head) {
			continue
		}
		width, height, err = f.probe(r, head, size, o)
		return width, height, head, err
	}
	return 0, 0, head, unknown(head)
}

func (f format) probe(r io.ReaderAt, head []byte, size int64, o Options) (int, int, error) {
	data := head
	w, h, err := f.config(data)
	if err != nil && size > int64(len(head)) {
		data = make([]byte, size)
		if err := readAt(r, data, 0); err != nil {
			return 0, 0, err
		}
		w, h, err = f.config(data)
	}
	if err != nil {
		return 0, 0, f.damaged(err)
	}
	if err := f.allowed(w, h, o.Pixels); err != nil {
		return 0, 0, err
	}
	if err := f.whole(r, size, o.Pixels); err != nil {
		return 0, 0, err
	}
	if !o.Stored && orientation(f.exif(data)) > 4 {
		w, h = h, w
	}
	return w, h, nil
}

// whole reports a picture whose end is not what its format ends with: it is decoded then, since some programs
// write more behind a picture.
func (f format) whole(r io.ReaderAt, size int64, most int) error {
	ends := map[string]string{"PNG": "IEND\xaeB`\x82", "JPEG": "\xff\xd9", "GIF": ";"}[f.name]
	if ends == "" { // sizes are in the header of WebP, and were proven
		return nil
	}
	tail := make([]byte, min(size, 16))
	if err := readAt(r, tail, size-int64(len(tail))); err != nil {
		return err
	}
	if bytes.HasSuffix(tail, []byte(ends)) {
		return nil
	}
	data := make([]byte, size)
	if err := readAt(r, data, 0); err != nil {
		return err
	}
	_, err := f.read(data, Options{Pixels: most, Stored: true})
	return err
}

// readAt fills data.
func readAt(r io.ReaderAt, data []byte, at int64) error {
	n, err := r.ReadAt(data, at)
	if n == len(data) {
		return nil
	}
	return err
}
