package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"pipe.dev/executor/checkpoint"
)

const (
	alignmentKey     = "general.alignment"
	defaultAlignment = 32
	maxNesting       = 4 // of arrays of arrays
)

// reader reads a header from the beginning on, and keeps the first error.
type reader struct {
	file *checkpoint.File
	at   int64
	err  error
}

// take returns the next n bytes, or n zeros after an error.
func (r *reader) take(n int64) []byte {
	if r.err == nil && n > r.file.Size()-r.at {
		r.err = fmt.Errorf("ends in the middle of its header, at byte %d", r.file.Size())
	}
	if r.err != nil {
		return make([]byte, min(n, 16))
	}
	b, err := r.file.View(r.at, n)
	if err != nil {
		r.err = err
		return make([]byte, min(n, 16))
	}
	r.at += n
	return b
}

// room reports a count of things that cannot lie in what is left of the file,
// each of at least so many bytes.
func (r *reader) room(what string, n uint64, each int64) error {
	if left := r.file.Size() - r.at; n > uint64(left/each) {
		return fmt.Errorf("claims %d %s, more than its %d bytes can hold", n, what, r.file.Size())
	}
	return nil
}

func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

// text reads a string; what says what it is.
func (r *reader) text(what string) string {
	n := r.u64()
	if r.err != nil {
		return ""
	}
	if n > uint64(r.file.Size()-r.at) {
		r.err = fmt.Errorf("%s claims %d bytes, more than the file has left", what, n)
		return ""
	}
	s := string(r.take(int64(n)))
	if r.err == nil && what != "" && !utf8.ValidString(s) {
		r.err = fmt.Errorf("%s is not UTF-8 text: %q", what, s)
	}
	return s
}

// The numbers of the types of values.
const (
	kindU8 = iota
	kindI8
	kindU16
	kindI16
	kindU32
	kindI32
	kindF32
	kindBool
	kindString
	kindArray
	kindU64
	kindI64
	kindF64
)

// widths are the bytes of values of each kind, at least.
var widths = [...]int64{1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8}

// value reads a value of the metadata.
func (r *reader) value(key string, kind uint32, depth int) any {
	switch kind {
	case kindU8:
		return r.take(1)[0]
	case kindI8:
		return int8(r.take(1)[0])
	case kindU16:
		return binary.LittleEndian.Uint16(r.take(2))
	case kindI16:
		return int16(binary.LittleEndian.Uint16(r.take(2)))
	case kindU32:
		return r.u32()
	case kindI32:
		return int32(r.u32())
	case kindF32:
		return math.Float32frombits(r.u32())
	case kindBool:
		b := r.take(1)[0]
		if b > 1 && r.err == nil {
			r.err = fmt.Errorf("metadata %q: %d is no truth value", key, b)
		}
		return b == 1
	case kindString:
		return r.text("") // vocabularies have pieces of characters
	case kindU64:
		return r.u64()
	case kindI64:
		return int64(r.u64())
	case kindF64:
		return math.Float64frombits(r.u64())
	case kindArray:
		return r.array(key, depth+1)
	}
	if r.err == nil {
		r.err = fmt.Errorf("metadata %q has a value of kind %d, which is not known", key, kind)
	}
	return nil
}

// array reads an array.
func (r *reader) array(key string, depth int) any {
	kind, n := r.u32(), r.u64()
	switch {
	case r.err != nil:
		return nil
	case kind >= uint32(len(widths)):
		r.err = fmt.Errorf("metadata %q is an array of kind %d, which is not known", key, kind)
	case depth > maxNesting:
		r.err = fmt.Errorf("metadata %q has arrays in arrays more than %d deep", key, maxNesting)
	default:
		r.err = r.room("values of "+key, n, widths[kind])
	}
	if r.err != nil {
		return nil
	}
	switch kind {
	case kindU8:
		return list[uint8](r, key, kind, n)
	case kindI8:
		return list[int8](r, key, kind, n)
	case kindU16:
		return list[uint16](r, key, kind, n)
	case kindI16:
		return list[int16](r, key, kind, n)
	case kindU32:
		return list[uint32](r, key, kind, n)
	case kindI32:
		return list[int32](r, key, kind, n)
	case kindF32:
		return list[float32](r, key, kind, n)
	case kindBool:
		return list[bool](r, key, kind, n)
	case kindString:
		return list[string](r, key, kind, n)
	case kindU64:
		return list[uint64](r, key, kind, n)
	case kindI64:
		return list[int64](r, key, kind, n)
	case kindF64:
		return list[float64](r, key, kind, n)
	}
	out := make([]any, 0, n)
	for range n {
		if out = append(out, r.value(key, kind, depth)); r.err != nil {
			return nil
		}
	}
	return out
}

// list reads n values of one kind.
func list[T any](r *reader, key string, kind uint32, n uint64) any {
	out := make([]T, 0, n)
	for range n {
		x, ok := r.value(key, kind, 0).(T)
		if r.err != nil || !ok {
			return nil
		}
		out = append(out, x)
	}
	return out
}
