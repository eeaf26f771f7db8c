package checkpoint

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"pipe.dev/compiler/ir"
)

// Data is a tensor to write.
type Data struct {
	Name  string
	Type  ir.Type // Known
	Bytes []byte  // little-endian, outermost axis first
}

// Write writes a safetensors file, whole or not at all, as Replace does.
func Write(path string, tensors []Data, metadata map[string]string) error {
	err := checkBytes(tensors) // before a file is made
	if err == nil {
		err = Stream(io.Discard, tensors, metadata, func(d Data) ([]byte, error) { return d.Bytes, nil })
	}
	if err != nil {
		return FileError(path, err)
	}
	return Replace(path, func(w io.Writer) error { return Encode(w, tensors, metadata) })
}

// Encode writes tensors in the form of a safetensors file. The same tensors
// and metadata give the same bytes whatever their order: tensors are sorted by
// element size, largest first, and then by name, so that each is aligned to its
// element, as the reference implementation also sees to; the metadata are
// sorted by key. metadata may be nil.
func Encode(w io.Writer, tensors []Data, metadata map[string]string) error {
	if err := checkBytes(tensors); err != nil {
		return err
	}
	return Stream(w, tensors, metadata, func(d Data) ([]byte, error) { return d.Bytes, nil })
}

// Stream is Encode for tensors whose bytes fill gives when they are written, so
// that only one need be in memory. A stack is written as its tensors.
func Stream(w io.Writer, tensors []Data, metadata map[string]string, fill func(Data) ([]byte, error)) error {
	tensors, fill = unstack(tensors, fill)
	byName := map[string]Data{}
	list := make([]Tensor, len(tensors))
	for i, d := range tensors {
		if err := d.check(); err != nil {
			return fmt.Errorf("tensor %q: %w", d.Name, err)
		}
		byName[d.Name] = d
		list[i] = Tensor{Name: d.Name, Raw: rawName(d.Type.DType), DType: d.Type.DType, Shape: d.Type.Sizes(), Bytes: d.Type.Bytes()}
	}
	return StreamTensors(w, list, metadata, func(t Tensor, w io.Writer) error {
		data, err := fill(byName[t.Name])
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
}

// StreamTensors writes a file of tensors of any element type of safetensors, in
// the order that Encode has; write writes the bytes of one.
func StreamTensors(w io.Writer, tensors []Tensor, metadata map[string]string, write func(t Tensor, w io.Writer) error) error {
	sorted := slices.Clone(tensors)
	slices.SortStableFunc(sorted, func(a, b Tensor) int {
		_, x := parseDType(a.Raw)
		_, y := parseDType(b.Raw)
		return cmp.Or(cmp.Compare(y, x), cmp.Compare(a.Name, b.Name))
	})
	head, err := marshalHeader(sorted, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, t := range sorted {
		out := &counted{w: w}
		if err := write(t, out); err != nil {
			return err
		}
		if out.n != t.Bytes {
			return fmt.Errorf("tensor %q: %d bytes of data, want %d", t.Name, out.n, t.Bytes)
		}
	}
	return nil
}

// counted counts what is written.
type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// marshalHeader returns the length and the header for tensors in this order,
// padded so that the data are aligned to 8 bytes.
func marshalHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	var b strings.Builder
	b.WriteString("\x00\x00\x00\x00\x00\x00\x00\x00{")
	comma := ""
	if len(metadata) > 0 {
		b.WriteString(`"` + metadataKey + `":{`)
		for i, k := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(k) || !utf8.ValidString(metadata[k]) {
				return nil, fmt.Errorf("metadata %q is not UTF-8", k)
			}
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(k) + ":" + quote(metadata[k]))
		}
		b.WriteByte('}')
		comma = ","
	}
	seen := map[string]bool{}
	offset := int64(0)
	for _, t := range tensors {
		if err := t.checkWritable(); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %q is there twice", t.Name)
		}
		seen[t.Name] = true
		shape := strings.ReplaceAll(fmt.Sprint(t.Shape), " ", ",")
		fmt.Fprintf(&b, `%s%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, comma, quote(t.Name), t.Raw, shape, offset, offset+t.Bytes)
		comma, offset = ",", offset+t.Bytes
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len()-8 > maxHeader {
		return nil, fmt.Errorf("header would have %d bytes, more than the limit of %d", b.Len()-8, maxHeader)
	}
	head := []byte(b.String())
	binary.LittleEndian.PutUint64(head, uint64(len(head)-8))
	return head, nil
}

// checkWritable proves that safetensors has a tensor like t.
func (t Tensor) checkWritable() error {
	_, width := parseDType(t.Raw)
	switch {
	case t.Name == metadataKey || !utf8.ValidString(t.Name):
		return fmt.Errorf("the name cannot be used")
	case width == 0:
		return fmt.Errorf("dtype %s is not one that safetensors has", t.Raw)
	}
	shape := make([]int64, len(t.Shape))
	for i, n := range t.Shape {
		shape[i] = int64(n)
	}
	if bytes, ok := tensorBytes(shape, width); !ok || bytes != t.Bytes {
		return fmt.Errorf("has %d bytes, but %s%v takes %d", t.Bytes, t.Raw, t.Shape, bytes)
	}
	return nil
}

// check proves that a reader would accept t.
func (t Data) check() error {
	switch {
	case t.Name == metadataKey || !utf8.ValidString(t.Name):
		return fmt.Errorf("the name cannot be used")
	case rawName(t.Type.DType) == "":
		return fmt.Errorf("dtype %s cannot be written", t.Type.DType)
	case !t.Type.Known():
		return fmt.Errorf("type %s has sizes that are not numbers", t.Type)
	}
	shape := make([]int64, t.Type.Rank())
	for i, n := range t.Type.Sizes() {
		if n < 0 {
			return fmt.Errorf("type %s has a negative size", t.Type)
		}
		shape[i] = int64(n)
	}
	if _, ok := tensorBytes(shape, 8*t.Type.DType.Size()); !ok {
		return fmt.Errorf("type %s has more bytes than can be counted", t.Type)
	}
	return nil
}

// checkBytes proves that tensors have the bytes that their types take.
func checkBytes(tensors []Data) error {
	for _, t := range tensors {
		if err := t.check(); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if want := t.Type.Bytes(); want != int64(len(t.Bytes)) {
			return fmt.Errorf("tensor %q: type %s takes %d bytes, but it has %d", t.Name, t.Type, want, len(t.Bytes))
		}
	}
	return nil
}

// rawName spells d as the format does, or returns "".
func rawName(d ir.DType) string {
	raw := strings.ToUpper(d.String())
	if back, _ := parseDType(raw); back != d || d == ir.Invalid {
		return ""
	}
	return raw
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always can be
	return string(b)
}
