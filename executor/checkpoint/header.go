package checkpoint

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"

	"pipe.dev/compiler/ir"
)

// maxHeader is the longest header that is read, in bytes; the reference
// implementation has the same limit.
const maxHeader = 100_000_000

const metadataKey = "__metadata__"

// readHeader reads and proves the header of a safetensors file of size bytes.
// Tensors are in the order of their data.
//
// The format: 8 bytes, the length n of the header, little-endian; n bytes of
// JSON, padded with spaces; the data. The JSON maps each name to its dtype,
// shape and the range of its bytes in the data. The ranges cover the data
// without overlap or hole.
//
// Source: github.com/huggingface/safetensors, "Format".
func readHeader(f io.ReaderAt, size int64) (layout, error) {
	start := make([]byte, min(size, 512))
	if _, err := f.ReadAt(start, 0); err != nil {
		return layout{}, err
	}
	if size == 0 {
		return layout{}, errEmpty
	}
	if size < 8 {
		return layout{}, sniffed(start, fmt.Sprintf("has %d bytes, too few for safetensors", size))
	}
	n := binary.LittleEndian.Uint64(start)
	switch {
	case n > uint64(size-8):
		return layout{}, sniffed(start, fmt.Sprintf("header length is %d bytes, but the file has only %d after it: truncated or not safetensors", n, size-8))
	case n > maxHeader:
		return layout{}, sniffed(start, fmt.Sprintf("header length is %d bytes, more than the limit of %d", n, maxHeader))
	case n == 0:
		return layout{}, sniffed(start, "header length is 0")
	case start[8] != '{':
		return layout{}, sniffed(start, fmt.Sprintf("header is not JSON: it begins with %q, not {", start[8]))
	}
	text := make([]byte, n)
	if _, err := f.ReadAt(text, 8); err != nil {
		return layout{}, err
	}
	return parseHeader(text, size)
}

// parseHeader reads the JSON of the header of a file of size bytes.
func parseHeader(text []byte, size int64) (layout, error) {
	base := 8 + int64(len(text))
	h := layout{metadata: map[string]string{}}
	err := readJSON(text, func(r jsonReader, key string) error {
		if key == metadataKey {
			return r.object(func(k string) (err error) {
				h.metadata[k], err = r.text(fmt.Sprintf("%s %q", metadataKey, short(k)))
				return err
			})
		}
		t, err := readTensor(r, base, size)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", key, err)
		}
		t.Name = key
		h.tensors = append(h.tensors, t)
		return nil
	})
	if err != nil {
		return layout{}, fmt.Errorf("header: %w", err)
	}
	slices.SortStableFunc(h.tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Bytes, b.Bytes))
	})
	return h, checkLayout(h.tensors, base, size)
}

// readTensor reads the description of one tensor in a file of size bytes whose
// data start at base.
func readTensor(r jsonReader, base, size int64) (t Tensor, err error) {
	var shape, ends []int64
	has := 0
	err = r.object(func(field string) (err error) {
		switch field {
		case "dtype":
			t.Raw, err = r.text("dtype")
		case "shape":
			shape, err = r.sizes("shape")
		case "data_offsets":
			ends, err = r.sizes("data_offsets")
		default: // later versions may say more
			return r.skip()
		}
		has++
		return err
	})
	switch {
	case err != nil:
		return t, err
	case has != 3:
		return t, errors.New("wants dtype, shape and data_offsets")
	case len(ends) != 2:
		return t, fmt.Errorf("data_offsets holds %d numbers, want 2", len(ends))
	case ends[1] < ends[0]:
		return t, fmt.Errorf("data_offsets end at %d before they start at %d", ends[1], ends[0])
	case ends[1] > size-base:
		return t, fmt.Errorf("its data end at byte %d, but the file has only %d bytes of data: truncated or out of range", ends[1], size-base)
	}
	t.Offset, t.Bytes = base+ends[0], ends[1]-ends[0]
	var width int
	t.DType, width = parseDType(t.Raw)
	known := width > 0
	// The size of an unknown dtype is left open, but its shape must be countable.
	want, ok := tensorBytes(shape, max(width, 1))
	if !ok {
		return t, fmt.Errorf("shape %v of %s has more bytes than can be counted", shape, short(t.Raw))
	}
	if known && want != t.Bytes {
		return t, fmt.Errorf("shape %v of %s takes %d bytes, data_offsets give it %d", shape, t.Raw, want, t.Bytes)
	}
	t.Shape = make([]int, len(shape))
	for i, n := range shape {
		if n > math.MaxInt {
			return t, fmt.Errorf("shape holds %d, more than this machine can address", n)
		}
		t.Shape[i] = int(n)
	}
	return t, nil
}

// checkLayout proves that tensors, sorted by place, cover the bytes from base
// to size exactly.
func checkLayout(tensors []Tensor, base, size int64) error {
	end, last := base, ""
	for _, t := range tensors {
		switch {
		case t.Offset < end:
			return fmt.Errorf("tensor %q starts at data byte %d, inside %q, which ends at %d: they overlap", t.Name, t.Offset-base, last, end-base)
		case t.Offset > end && last == "":
			return fmt.Errorf("%d bytes before tensor %q belong to no tensor", t.Offset-end, t.Name)
		case t.Offset > end:
			return fmt.Errorf("%d bytes between tensors %q and %q belong to no tensor", t.Offset-end, last, t.Name)
		}
		end, last = t.Offset+t.Bytes, t.Name
	}
	if end != size {
		return fmt.Errorf("%d bytes after the last tensor belong to no tensor: the tensors end at byte %d, the file at %d", size-end, end, size)
	}
	return nil
}

// tensorBytes returns the bytes that elements of width bits take in shape,
// rounded up to whole bytes, and whether they can be counted. Sizes of zero do
// not excuse others that overflow.
func tensorBytes(shape []int64, width int) (int64, bool) {
	n, empty := uint64(1), false
	for _, s := range shape {
		if s == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(n, uint64(s))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, false
		}
		n = lo
	}
	hi, lo := bits.Mul64(n, uint64(width))
	if hi != 0 || lo > math.MaxInt64-7 {
		return 0, false
	}
	if empty {
		return 0, true
	}
	return int64(lo+7) / 8, true
}

// parseDType returns the element type that raw spells, ir.Invalid if pipe does
// not compute with it, and the bits of an element, 0 if raw is unknown.
func parseDType(raw string) (ir.DType, int) {
	switch raw {
	case "F64":
		return ir.F64, 64
	case "F32":
		return ir.F32, 32
	case "BF16":
		return ir.BF16, 16
	case "F16":
		return ir.F16, 16
	case "I64":
		return ir.I64, 64
	case "I32":
		return ir.I32, 32
	case "I8":
		return ir.I8, 8
	case "U8":
		return ir.U8, 8
	case "BOOL":
		return ir.Bool, 8
	case "U64", "C64":
		return ir.Invalid, 64
	case "U32":
		return ir.Invalid, 32
	case "I16", "U16":
		return ir.Invalid, 16
	case "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ":
		return ir.Invalid, 8
	case "F6_E2M3", "F6_E3M2":
		return ir.Invalid, 6
	case "F4":
		return ir.Invalid, 4
	}
	return ir.Invalid, 0
}
