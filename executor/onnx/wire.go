package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// field is one field of a message of protocol buffers: a number, or bytes.
//
// Source: protobuf.dev/programming-guides/encoding.
type field struct {
	number int
	value  uint64
	bytes  []byte
	isText bool  // of bytes, rather than a number
	at     int64 // of bytes, in the file
}

var errWire = errors.New("is no ONNX file, or damaged: it is not in the form of protocol buffers")

// fields calls f with every field of a message that lies at a place of the file.
func fields(data []byte, at int64, f func(field) error) error {
	whole := len(data)
	for len(data) > 0 {
		key, n := binary.Uvarint(data)
		if n <= 0 || key>>3 == 0 || key>>3 >= 1<<29 {
			return errWire
		}
		data = data[n:]
		x := field{number: int(key >> 3)}
		switch key & 7 {
		case 0:
			if x.value, n = binary.Uvarint(data); n <= 0 {
				return errWire
			}
		case 1:
			if n = 8; len(data) < n {
				return errCut(n, len(data))
			}
			x.value = binary.LittleEndian.Uint64(data)
		case 5:
			if n = 4; len(data) < n {
				return errCut(n, len(data))
			}
			x.value = uint64(binary.LittleEndian.Uint32(data))
		case 2:
			size, k := binary.Uvarint(data)
			if k <= 0 {
				return errWire
			}
			data = data[k:]
			if size > uint64(len(data)) {
				return errCut(int(min(size, 1<<62)), len(data))
			}
			x.bytes, x.isText, x.at, n = data[:size], true, at+int64(whole-len(data)), int(size)
		default:
			return errWire
		}
		if err := f(x); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func errCut(want, have int) error {
	return fmt.Errorf("a part of it claims %d bytes where %d are left: cut short, or no ONNX file", want, have)
}

// text is a field as text.
func (f field) text() (string, error) {
	if !f.isText || !utf8.Valid(f.bytes) || len(f.bytes) > maxName {
		return "", fmt.Errorf("a name is no text, or longer than %d bytes", maxName)
	}
	return string(f.bytes), nil
}

// numbers appends what a repeated field of numbers holds, packed or not.
func (f field) numbers(out []int64) ([]int64, error) {
	if !f.isText {
		return append(out, int64(f.value)), nil
	}
	for b := f.bytes; len(b) > 0; {
		x, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errWire
		}
		out, b = append(out, int64(x)), b[n:]
	}
	return out, nil
}
