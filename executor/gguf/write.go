package gguf

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

// Data is a tensor to write.
type Data struct {
	Name  string
	Type  Type
	Shape []int64 // innermost axis last
	// Write writes the tensor's bytes, as many as its type and shape have.
	Write func(w io.Writer) error
}

// Write writes a file of version 3. Tensors are written one after the other,
// so no more memory is needed than their Write functions need.
func Write(w io.Writer, metadata []Pair, tensors []Data) error {
	out := bufio.NewWriterSize(w, 1<<20)
	h := &header{}
	h.b = append(h.b, "GGUF"...)
	h.u32(3)
	h.u64(uint64(len(tensors)))
	h.u64(uint64(len(metadata)))
	for _, p := range metadata {
		if p.Key == alignmentKey && p.Value != uint32(defaultAlignment) {
			return fmt.Errorf("gguf: %s is %v; files are written with %d", alignmentKey, p.Value, defaultAlignment)
		}
		h.text(p.Key)
		if err := h.value(p.Value); err != nil {
			return fmt.Errorf("gguf: metadata %q: %w", p.Key, err)
		}
	}
	sizes := make([]int64, len(tensors))
	var offset int64
	for i, t := range tensors {
		n, err := t.Type.bytes(t.Shape)
		if err == nil && len(t.Shape) > 4 {
			err = fmt.Errorf("has %d axes, more than 4", len(t.Shape))
		}
		if err != nil {
			return fmt.Errorf("gguf: tensor %s: %w", t.Name, err)
		}
		h.text(t.Name)
		h.u32(uint32(len(t.Shape)))
		for _, s := range slices.Backward(t.Shape) {
			h.u64(uint64(s))
		}
		h.u32(uint32(t.Type))
		h.u64(uint64(offset))
		sizes[i] = n
		offset += aligned(n)
	}
	if _, err := out.Write(h.b); err != nil {
		return err
	}
	if err := pad(out, int64(len(h.b))); err != nil {
		return err
	}
	for i, t := range tensors {
		c := &counter{w: out}
		if err := t.Write(c); err != nil {
			return err
		}
		if c.n != sizes[i] {
			return fmt.Errorf("gguf: tensor %s has %d bytes, want %d", t.Name, c.n, sizes[i])
		}
		if err := pad(out, c.n); err != nil {
			return err
		}
	}
	return out.Flush()
}

func aligned(n int64) int64 { return (n + defaultAlignment - 1) / defaultAlignment * defaultAlignment }

// pad writes zeros after n bytes, up to the alignment.
func pad(w io.Writer, n int64) error {
	_, err := w.Write(bytes.Repeat([]byte{0}, int(aligned(n)-n)))
	return err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// header is the bytes of a header.
type header struct{ b []byte }

func (h *header) u32(x uint32) { h.b = binary.LittleEndian.AppendUint32(h.b, x) }
func (h *header) u64(x uint64) { h.b = binary.LittleEndian.AppendUint64(h.b, x) }
func (h *header) text(s string) {
	h.u64(uint64(len(s)))
	h.b = append(h.b, s...)
}

// value writes the kind of a value, and the value.
func (h *header) value(x any) error {
	kind, ok := kindOf(x)
	if !ok {
		return fmt.Errorf("%T has no kind in GGUF", x)
	}
	h.u32(kind)
	return h.bare(x)
}

func kindOf(x any) (uint32, bool) {
	switch x.(type) {
	case uint8:
		return kindU8, true
	case int8:
		return kindI8, true
	case uint16:
		return kindU16, true
	case int16:
		return kindI16, true
	case uint32:
		return kindU32, true
	case int32:
		return kindI32, true
	case float32:
		return kindF32, true
	case bool:
		return kindBool, true
	case string:
		return kindString, true
	case uint64:
		return kindU64, true
	case int64:
		return kindI64, true
	case float64:
		return kindF64, true
	case []uint8, []int8, []uint16, []int16, []uint32, []int32, []float32, []bool, []string, []uint64, []int64, []float64, []any:
		return kindArray, true
	}
	return 0, false
}

// bare writes a value without its kind.
func (h *header) bare(x any) error {
	switch x := x.(type) {
	case uint8:
		h.b = append(h.b, x)
	case int8:
		h.b = append(h.b, uint8(x))
	case uint16:
		h.b = binary.LittleEndian.AppendUint16(h.b, x)
	case int16:
		h.b = binary.LittleEndian.AppendUint16(h.b, uint16(x))
	case uint32:
		h.u32(x)
	case int32:
		h.u32(uint32(x))
	case float32:
		h.u32(math.Float32bits(x))
	case bool:
		b := byte(0)
		if x {
			b = 1
		}
		h.b = append(h.b, b)
	case string:
		h.text(x)
	case uint64:
		h.u64(x)
	case int64:
		h.u64(uint64(x))
	case float64:
		h.u64(math.Float64bits(x))
	case []uint8:
		return values(h, kindU8, x)
	case []int8:
		return values(h, kindI8, x)
	case []uint16:
		return values(h, kindU16, x)
	case []int16:
		return values(h, kindI16, x)
	case []uint32:
		return values(h, kindU32, x)
	case []int32:
		return values(h, kindI32, x)
	case []float32:
		return values(h, kindF32, x)
	case []bool:
		return values(h, kindBool, x)
	case []string:
		return values(h, kindString, x)
	case []uint64:
		return values(h, kindU64, x)
	case []int64:
		return values(h, kindI64, x)
	case []float64:
		return values(h, kindF64, x)
	case []any:
		return values(h, kindArray, x)
	}
	return nil
}

// values writes an array.
func values[T any](h *header, kind uint32, list []T) error {
	h.u32(kind)
	h.u64(uint64(len(list)))
	for _, x := range list {
		if k, ok := kindOf(x); !ok || k != kind {
			return fmt.Errorf("an array of arrays holds %T", x)
		}
		if err := h.bare(x); err != nil {
			return err
		}
	}
	return nil
}
