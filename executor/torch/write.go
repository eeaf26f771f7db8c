package torch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

// Entry is a tensor to write.
type Entry struct {
	Name, DType string // the element type as safetensors spells it
	Shape       []int
	Bytes       int64
}

// alignment is that of storages in an archive, as PyTorch has it.
const alignment = 64

// Write writes a state dict that torch.load(weights_only=True) reads: an
// archive that is not compressed, in which every tensor has a storage of its
// own. write writes the bytes of one, little-endian, in C order.
func Write(w io.Writer, tensors []Entry, write func(e Entry, w io.Writer) error) error {
	text, err := dictPickle(tensors)
	if err != nil {
		return err
	}
	a := &archiver{at: &offset{w: w}}
	a.zip = zip.NewWriter(a.at)
	for _, part := range []struct{ name, text string }{{"data.pkl", string(text)}, {"byteorder", "little"}, {"version", "3\n"}} {
		err := a.entry(part.name, func(w io.Writer) error {
			_, err := io.WriteString(w, part.text)
			return err
		})
		if err != nil {
			return err
		}
	}
	for i, e := range tensors {
		if err := a.entry(fmt.Sprintf("data/%d", i), func(w io.Writer) error { return write(e, w) }); err != nil {
			return err
		}
	}
	return a.zip.Close()
}

// archiver writes entries at aligned places.
type archiver struct {
	zip *zip.Writer
	at  *offset
}

func (a *archiver) entry(name string, write func(w io.Writer) error) error {
	h := &zip.FileHeader{Name: "archive/" + name, Method: zip.Store}
	if err := a.zip.Flush(); err != nil {
		return err
	}
	// A local header has 30 bytes, the name, and what is extra: an id and a
	// length of two bytes each, and padding. The entry before may end with 24
	// bytes about itself, which are written with this one's header.
	data := a.at.n + a.at.pending + 30 + int64(len(h.Name)) + 4
	pad := (alignment - data%alignment) % alignment
	h.Extra = binary.LittleEndian.AppendUint16([]byte("FB"), uint16(pad))
	h.Extra = append(h.Extra, bytes.Repeat([]byte("Z"), int(pad))...)
	e, err := a.zip.CreateHeader(h)
	if err != nil {
		return err
	}
	c := &offset{w: e}
	if err := write(c); err != nil {
		return err
	}
	a.at.pending = 16 // the descriptor
	if c.n > math.MaxUint32 {
		a.at.pending = 24
	}
	return nil
}

// offset counts what is written.
type offset struct {
	w       io.Writer
	n       int64
	pending int64
}

func (o *offset) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.n += int64(n)
	return n, err
}

// dictPickle is the OrderedDict of tensors, in protocol 2.
func dictPickle(tensors []Entry) ([]byte, error) {
	b := []byte("\x80\x02ccollections\nOrderedDict\n)R(")
	for i, e := range tensors {
		storage, typed, ok := classOf(e.DType)
		if !ok {
			return nil, fmt.Errorf("tensor %q: PyTorch's files have no dtype %s", e.Name, e.DType)
		}
		b = appendText(b, e.Name)
		if typed {
			b = append(b, "ctorch._utils\n_rebuild_tensor_v2\n("...)
		} else {
			b = append(b, "ctorch._utils\n_rebuild_tensor_v3\n("...)
		}
		elems := e.Bytes
		if typed {
			elems /= int64(storages[storage].width)
		}
		b = append(appendText(append(b, '('), "storage"), "ctorch"...)
		if !typed {
			b = append(b, ".storage"...)
		}
		b = append(b, "\n"+storage+"\n"...)
		b = appendText(appendText(b, fmt.Sprint(i)), "cpu")
		b = append(appendInt(b, elems), "tQK\x00"...)
		b = append(appendTuple(b, e.Shape), appendTuple(nil, stridesOf(e.Shape))...)
		b = append(b, "\x89ccollections\nOrderedDict\n)R"...)
		if !typed {
			b = append(b, "ctorch\n"+nameOf(e.DType)+"\n"...)
		}
		b = append(b, "tR"...)
	}
	return append(b, "u."...), nil
}

// classOf is the class of the storage of an element type; typed is false if it
// is that of bytes.
func classOf(dtype string) (class string, typed, ok bool) {
	for class, d := range storages {
		if d.name == dtype && dtype != "" {
			return class, true, true
		}
	}
	return "UntypedStorage", false, nameOf(dtype) != ""
}

// nameOf is what PyTorch calls an element type.
func nameOf(dtype string) string {
	for name, d := range dtypes {
		if d.name == dtype {
			return name
		}
	}
	return ""
}

func appendText(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, 'X'), uint32(len(s)))
	return append(b, s...)
}

func appendInt(b []byte, n int64) []byte {
	if n <= math.MaxInt32 {
		return binary.LittleEndian.AppendUint32(append(b, 'J'), uint32(n))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0x8a, 8), uint64(n))
}

func appendTuple(b []byte, numbers []int) []byte {
	b = append(b, '(')
	for _, n := range numbers {
		b = appendInt(b, int64(n))
	}
	return append(b, 't')
}

// stridesOf are those of C order.
func stridesOf(shape []int) []int {
	out := make([]int, len(shape))
	step := 1
	for i, n := range slices.Backward(shape) {
		out[i] = step
		step *= max(n, 1)
	}
	return out
}
