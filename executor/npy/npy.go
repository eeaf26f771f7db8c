// Package npy reads and writes the headers of NumPy's .npy files.
//
// Not here: objects (pickles), structured and complex arrays, text.
package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Magic is what a .npy file begins with.
const Magic = "\x93NUMPY"

// maxHeader is the longest header that is read, in bytes. NumPy itself
// distrusts those of more than 10,000.
const maxHeader = 64 << 10

// ReadHeader reads what comes before the data: the magic string, the version,
// the length of the header (2 bytes in version 1, 4 in 2 and 3), the header. It
// returns how many bytes that are.
func ReadHeader(r io.Reader) (h Header, length int64, err error) {
	var start [12]byte
	if n, err := io.ReadFull(r, start[:8]); err != nil {
		return Header{}, 0, fmt.Errorf("is not a .npy file: it has only %d bytes", n)
	}
	if string(start[:6]) != Magic {
		return Header{}, 0, fmt.Errorf("is not a .npy file: it begins with %q", start[:6])
	}
	width := 4
	switch start[6] {
	case 1:
		width = 2
	case 2, 3:
	default:
		return Header{}, 0, fmt.Errorf("is a .npy file of version %d.%d; want 1, 2 or 3", start[6], start[7])
	}
	if _, err := io.ReadFull(r, start[8:8+width]); err != nil {
		return Header{}, 0, errors.New("is truncated: the length of the header is missing")
	}
	n := binary.LittleEndian.Uint32(start[8:]) // zero beyond width
	if n > maxHeader {
		return Header{}, 0, fmt.Errorf("header length is %d bytes, more than the limit of %d", n, maxHeader)
	}
	text := make([]byte, n)
	if got, err := io.ReadFull(r, text); err != nil {
		return Header{}, 0, fmt.Errorf("is truncated: the header takes %d bytes, the file has %d", n, got)
	}
	h, err = Parse(string(text))
	return h, int64(8 + width + len(text)), err
}

// Bytes is the size of the array in the file.
func (h Header) Bytes() int64 { return int64(h.Elems) * int64(h.Elem.Size) }

// Fits proves that the array takes the have bytes that come after its header.
func (h Header) Fits(have int64) error {
	if have == h.Bytes() {
		return nil
	}
	what := "is truncated"
	if have > h.Bytes() {
		what = "goes on after the array"
	}
	return fmt.Errorf("%s: shape %v of %d-byte elements takes %d bytes, the file has %d", what, h.Shape, h.Elem.Size, h.Bytes(), have)
}

// Head is the header of a file of version 1 for elements that NumPy calls
// descr, in C order, padded so that data are aligned to 64 bytes.
func Head(descr string, shape []int) []byte {
	head := []byte(Magic + "\x01\x00\x00\x00")
	head = fmt.Appendf(head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, pythonTuple(shape))
	for (len(head)+1)%64 != 0 {
		head = append(head, ' ')
	}
	head = append(head, '\n')
	binary.LittleEndian.PutUint16(head[8:], uint16(len(head)-10))
	return head
}

func pythonTuple(sizes []int) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, n := range sizes {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, n)
	}
	if len(sizes) == 1 {
		b.WriteByte(',')
	}
	b.WriteByte(')')
	return b.String()
}
