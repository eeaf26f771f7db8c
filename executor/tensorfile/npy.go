package tensorfile

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/npy"
	"pipe.dev/kernels/half"
)

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
	h, length, err := npy.ReadHeader(r)
	if err != nil {
		return Tensor{}, err
	}
	if err := h.Fits(size - length); err != nil {
		return Tensor{}, err
	}
	want := h.Bytes()
	data := make([]byte, want)
	if _, err := io.ReadFull(r, data); err != nil {
		return Tensor{}, fmt.Errorf("cannot read %d bytes of data: %w", want, err)
	}
	if h.Fortran {
		data = npy.COrder(data, h.Shape, h.Elem.Size)
	}
	return Tensor{Type: ir.T(h.Elem.To, h.Shape...), Data: h.Elem.Convert(data)}, nil
}

func writeNPYFile(path string, ts []Tensor) error {
	if len(ts) != 1 {
		return fmt.Errorf("a .npy file holds exactly one tensor, not %d: use .npz or .safetensors", len(ts))
	}
	return checkpoint.Replace(path, func(w io.Writer) error { return writeNPY(w, ts[0]) })
}

// writeNPY writes t as a .npy file of version 1, its data aligned to 64 bytes.
func writeNPY(w io.Writer, t Tensor) error {
	if t.Type.Rank() > npy.MaxAxes {
		return fmt.Errorf("tensor %q has %d axes, more than the limit of %d", t.Name, t.Type.Rank(), npy.MaxAxes)
	}
	data := t.Data
	if t.Type.DType == ir.BF16 {
		data = widenBF16(data)
	}
	head := npy.Head(npyDescr(t.Type.DType), t.Type.Sizes())
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

func widenBF16(data []byte) []byte {
	out := make([]byte, 0, 2*len(data))
	for i := 0; i < len(data); i += 2 {
		v := half.BF16ToF32(binary.LittleEndian.Uint16(data[i:]))
		out = appendF32(out, v)
	}
	return out
}
