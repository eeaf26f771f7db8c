package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"path/filepath"
	"strconv"
	"strings"
)

// dtype is an element type: its name in safetensors, its bits, and the field
// in which values stand that are not raw.
type dtype struct {
	name  string
	bits  int
	field int
}

const (
	inFloats  = 4
	inInt32s  = 5
	inInt64s  = 7
	inDoubles = 10
	inUint64s = 11
)

// dtypes are the types by their number.
var dtypes = map[uint64]dtype{
	1: {"F32", 32, inFloats}, 2: {"U8", 8, inInt32s}, 3: {"I8", 8, inInt32s}, 4: {"U16", 16, inInt32s}, 5: {"I16", 16, inInt32s},
	6: {"I32", 32, inInt32s}, 7: {"I64", 64, inInt64s}, 9: {"BOOL", 8, inInt32s}, 10: {"F16", 16, inInt32s}, 11: {"F64", 64, inDoubles},
	12: {"U32", 32, inUint64s}, 13: {"U64", 64, inUint64s}, 14: {"C64", 64, inFloats}, 15: {"C128", 128, inDoubles}, 16: {"BF16", 16, inInt32s},
	17: {"F8_E4M3", 8, inInt32s}, 18: {"F8_E4M3FNUZ", 8, inInt32s}, 19: {"F8_E5M2", 8, inInt32s}, 20: {"F8_E5M2FNUZ", 8, inInt32s}, 24: {"F8_E8M0", 8, inInt32s},
}

// Tensor is an initializer or a constant, and where its values are: in the
// file as they are (Offset), in fields of numbers (Make), or in another file.
type Tensor struct {
	Name   string
	DType  string // as safetensors spells it
	Shape  []int
	Bytes  int64
	Offset int64 // in the file, or in External
	Make   func() []byte
	// External is a file beside this one; "" is none.
	External string
	data     []byte // at Offset
}

// Data is the values, little-endian, outermost axis first, of a tensor that is
// not in another file.
func (t *Tensor) Data() ([]byte, error) {
	switch {
	case t.External != "":
		return nil, fmt.Errorf("tensor %s has its values in another file", Show(t.Name))
	case t.Make == nil:
		return t.data, nil
	}
	data := t.Make()
	if int64(len(data)) != t.Bytes {
		return nil, fmt.Errorf("the values of tensor %s are damaged", Show(t.Name))
	}
	return data, nil
}

// readTensor reads a tensor, but for its values.
func readTensor(f field) (Tensor, error) {
	var t Tensor
	var dims []int64
	var d dtype
	kind, raw, values, external := uint64(0), []field(nil), map[int][]field{}, map[string]string{}
	err := fields(f.bytes, f.at, func(f field) (err error) {
		switch f.number {
		case 1:
			dims, err = f.numbers(dims)
		case 2:
			kind = f.value
		case 8:
			t.Name, err = f.text()
		case 9:
			raw = append(raw, f)
		case 13:
			var key, value string
			if key, value, err = pair(f); err == nil {
				external[key] = value
			}
		default:
			values[f.number] = append(values[f.number], f)
		}
		if len(dims) > maxAxes {
			return fmt.Errorf("tensor %.60q has more than %d axes", t.Name, maxAxes)
		}
		return err
	})
	if err != nil {
		return t, err
	}
	d, ok := dtypes[kind]
	if !ok {
		return t, fmt.Errorf("tensor %.60q has the type %d, which is not read (8 is text, 21 to 23 are of 4 bits)", t.Name, kind)
	}
	t.DType = d.name
	if err := t.size(dims, d); err != nil {
		return t, err
	}
	switch {
	case len(external) > 0:
		return t, t.outside(external)
	case len(raw) == 1:
		t.Offset, t.data = raw[0].at, raw[0].bytes
		if int64(len(raw[0].bytes)) != t.Bytes {
			return t, fmt.Errorf("tensor %.60q: %s%v takes %d bytes, but it has %d", t.Name, t.DType, t.Shape, t.Bytes, len(raw[0].bytes))
		}
		return t, nil
	case len(raw) > 1:
		return t, fmt.Errorf("tensor %.60q has its values twice", t.Name)
	}
	return t, t.inFields(values[d.field], d)
}

// size sets the shape and counts bytes.
func (t *Tensor) size(dims []int64, d dtype) error {
	n, empty := uint64(d.bits/8), false
	for _, s := range dims {
		if s < 0 || s > math.MaxInt {
			return fmt.Errorf("tensor %.60q has an axis of size %d", t.Name, s)
		}
		t.Shape = append(t.Shape, int(s))
		if s == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(n, uint64(s))
		if hi != 0 || lo > math.MaxInt64 {
			return fmt.Errorf("tensor %.60q of shape %v has more bytes than can be counted", t.Name, dims)
		}
		n = lo
	}
	if !empty {
		t.Bytes = int64(n)
	}
	return nil
}

// outside says where the values are in another file.
func (t *Tensor) outside(external map[string]string) error {
	t.External = external["location"]
	if t.External == "" || !filepath.IsLocal(filepath.FromSlash(t.External)) || strings.ContainsAny(t.External, "\\\x00") {
		return fmt.Errorf("tensor %.60q is in %.60q, which is no file inside the folder", t.Name, t.External)
	}
	var err error
	if s := external["offset"]; s != "" {
		if t.Offset, err = strconv.ParseInt(s, 10, 64); err != nil || t.Offset < 0 {
			return fmt.Errorf("tensor %.60q begins at %.40q of another file", t.Name, s)
		}
	}
	if s := external["length"]; s != "" && s != fmt.Sprint(t.Bytes) {
		return fmt.Errorf("tensor %.60q: %s%v takes %d bytes, but it has %.40q in another file", t.Name, t.DType, t.Shape, t.Bytes, s)
	}
	return nil
}

// inFields sees to values that stand in fields of numbers.
func (t *Tensor) inFields(list []field, d dtype) error {
	fixed := 0 // bytes of a number, if all take the same
	switch d.field {
	case inFloats:
		fixed = 4
	case inDoubles:
		fixed = 8
	}
	count := int64(0) // of numbers
	for _, f := range list {
		switch {
		case !f.isText:
			count++
		case fixed > 0:
			if len(f.bytes)%fixed != 0 {
				return fmt.Errorf("tensor %.60q has a value that is cut", t.Name)
			}
			count += int64(len(f.bytes) / fixed)
		default:
			for _, b := range f.bytes {
				if b < 0x80 {
					count++ // the last byte of a number
				}
			}
		}
	}
	size := int64(max(fixed, d.bits/8))
	if fixed > 0 {
		size = int64(fixed)
	}
	if count*size != t.Bytes {
		return fmt.Errorf("tensor %.60q: %s%v takes %d bytes, but it has %d", t.Name, t.DType, t.Shape, t.Bytes, count*size)
	}
	if t.Bytes > 0 && fixed > 0 && len(list) == 1 && list[0].isText {
		t.Offset, t.data = list[0].at, list[0].bytes
		return nil
	}
	t.Make = func() []byte {
		out := make([]byte, 0, t.Bytes)
		for _, f := range list {
			if fixed > 0 && f.isText {
				out = append(out, f.bytes...)
				continue
			}
			values, err := f.numbers(nil)
			if err != nil {
				break // what is missing shows by the length
			}
			for _, v := range values {
				var word [8]byte
				binary.LittleEndian.PutUint64(word[:], uint64(v))
				out = append(out, word[:size]...)
			}
		}
		return out
	}
	return nil
}
