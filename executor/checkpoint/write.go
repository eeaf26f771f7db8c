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
		_, err = marshalHeader(tensors, metadata)
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
	sorted := slices.Clone(tensors)
	slices.SortStableFunc(sorted, func(a, b Data) int {
		return cmp.Or(cmp.Compare(b.Type.DType.Size(), a.Type.DType.Size()), cmp.Compare(a.Name, b.Name))
	})
	head, err := marshalHeader(sorted, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, t := range sorted {
		data, err := fill(t)
		if err == nil && int64(len(data)) != t.Type.Bytes() {
			err = fmt.Errorf("tensor %q: %d bytes of data, want %d", t.Name, len(data), t.Type.Bytes())
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// marshalHeader returns the length and the header for tensors in this order,
// padded so that the data are aligned to 8 bytes.
func marshalHeader(tensors []Data, metadata map[string]string) ([]byte, error) {
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
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %q is there twice", t.Name)
		}
		seen[t.Name] = true
		shape := strings.ReplaceAll(fmt.Sprint(t.Type.Sizes()), " ", ",")
		end := offset + t.Type.Bytes()
		fmt.Fprintf(&b, `%s%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`,
			comma, quote(t.Name), rawName(t.Type.DType), shape, offset, end)
		comma, offset = ",", end
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
