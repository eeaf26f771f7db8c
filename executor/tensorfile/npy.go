package tensorfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/kernels/half"
)

const npyMagic = "\x93NUMPY"

// maxNPYHeader is the longest header that is read, in bytes. NumPy itself
// distrusts those of more than 10,000.
const maxNPYHeader = 64 << 10

func readNPYFile(path string) ([]Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	t, err := readNPY(f, info.Size())
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	t.Name = strings.TrimSuffix(base, filepath.Ext(base))
	return []Tensor{t}, nil
}

// readNPY reads the .npy file of size bytes in r. It allocates no more than
// some multiple of size.
func readNPY(r io.Reader, size int64) (Tensor, error) {
	text, err := readNPYHeader(r)
	if err != nil {
		return Tensor{}, err
	}
	h, err := parseNPYHeader(text.header)
	if err != nil {
		return Tensor{}, err
	}
	want := int64(h.elems) * int64(h.elem.size)
	if have := size - text.length; have != want {
		what := "is truncated"
		if have > want {
			what = "goes on after the array"
		}
		return Tensor{}, fmt.Errorf("%s: shape %v of %d-byte elements takes %d bytes, the file has %d", what, h.shape, h.elem.size, want, have)
	}
	data := make([]byte, want)
	if _, err := io.ReadFull(r, data); err != nil {
		return Tensor{}, fmt.Errorf("cannot read %d bytes of data: %w", want, err)
	}
	if h.fortran {
		data = cOrder(data, h.shape, h.elem.size)
	}
	return Tensor{Type: ir.T(h.elem.to, h.shape...), Data: h.elem.convert(data)}, nil
}

// npyText is the header of a .npy file and the place where its data start.
type npyText struct {
	header string
	length int64
}

// readNPYHeader reads what comes before the data: the magic string, the
// version, the length of the header (2 bytes in version 1, 4 in 2 and 3), the
// header.
func readNPYHeader(r io.Reader) (npyText, error) {
	var start [12]byte
	if n, err := io.ReadFull(r, start[:8]); err != nil {
		return npyText{}, fmt.Errorf("is not a .npy file: it has only %d bytes", n)
	}
	if string(start[:6]) != npyMagic {
		return npyText{}, fmt.Errorf("is not a .npy file: it begins with %q", start[:6])
	}
	width := 4
	switch start[6] {
	case 1:
		width = 2
	case 2, 3:
	default:
		return npyText{}, fmt.Errorf("is a .npy file of version %d.%d; want 1, 2 or 3", start[6], start[7])
	}
	if _, err := io.ReadFull(r, start[8:8+width]); err != nil {
		return npyText{}, errors.New("is truncated: the length of the header is missing")
	}
	n := binary.LittleEndian.Uint32(start[8:]) // zero beyond width
	if n > maxNPYHeader {
		return npyText{}, fmt.Errorf("header length is %d bytes, more than the limit of %d", n, maxNPYHeader)
	}
	text := make([]byte, n)
	if got, err := io.ReadFull(r, text); err != nil {
		return npyText{}, fmt.Errorf("is truncated: the header takes %d bytes, the file has %d", n, got)
	}
	return npyText{string(text), int64(8 + width + len(text))}, nil
}

func writeNPYFile(path string, ts []Tensor) error {
	if len(ts) != 1 {
		return fmt.Errorf("a .npy file holds exactly one tensor, not %d: use .npz or .safetensors", len(ts))
	}
	return checkpoint.Replace(path, func(w io.Writer) error { return writeNPY(w, ts[0]) })
}

// writeNPY writes t as a .npy file of version 1, its data aligned to 64 bytes.
func writeNPY(w io.Writer, t Tensor) error {
	if t.Type.Rank() > maxAxes {
		return fmt.Errorf("tensor %q has %d axes, more than the limit of %d", t.Name, t.Type.Rank(), maxAxes)
	}
	data := t.Data
	if t.Type.DType == ir.BF16 {
		data = widenBF16(data)
	}
	head := []byte(npyMagic + "\x01\x00\x00\x00")
	head = fmt.Appendf(head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", npyDescr(t.Type.DType), pythonTuple(t.Type.Sizes()))
	for (len(head)+1)%64 != 0 {
		head = append(head, ' ')
	}
	head = append(head, '\n')
	binary.LittleEndian.PutUint16(head[8:], uint16(len(head)-10))
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

// npyDescr spells d for a header; bfloat16 becomes float32.
func npyDescr(d ir.DType) string {
	switch d {
	case ir.F64:
		return "<f8"
	case ir.F32, ir.BF16:
		return "<f4"
	case ir.F16:
		return "<f2"
	case ir.I64:
		return "<i8"
	case ir.I32:
		return "<i4"
	case ir.I8:
		return "|i1"
	case ir.U8:
		return "|u1"
	}
	return "|b1"
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

func widenBF16(data []byte) []byte {
	out := make([]byte, 0, 2*len(data))
	for i := 0; i < len(data); i += 2 {
		v := half.BF16ToF32(binary.LittleEndian.Uint16(data[i:]))
		out = appendF32(out, v)
	}
	return out
}
