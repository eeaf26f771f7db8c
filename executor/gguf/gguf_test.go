package gguf

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const golden = "../../testdata/golden/gguf/small.gguf"

// A file by the gguf package is read as it was meant, and written again gives
// the same bytes.
func TestGolden(t *testing.T) {
	f, err := Open(golden)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for key, want := range map[string]any{
		"general.architecture": "test", "a.u8": uint8(200), "a.i8": int8(-100), "a.u16": uint16(60000), "a.i16": int16(-30000), "a.u32": uint32(4000000000),
		"a.i32": int32(-2000000000), "a.f32": float32(1.5), "a.bool": true, "a.text": "größe", "a.u64": uint64(1<<63 + 5), "a.i64": int64(-1 << 62), "a.f64": 0.1,
		"b.texts": []string{"a", "", "ü"}, "b.ints": []int32{1, -2, 3}, "b.floats": []float32{0.5, 2}, "nothing": nil,
	} {
		if have := f.Value(key); !reflect.DeepEqual(have, want) {
			t.Errorf("%s is %T %v, want %T %v", key, have, have, want, want)
		}
	}
	text, err := os.ReadFile(strings.TrimSuffix(golden, "gguf") + "json")
	if err != nil {
		t.Fatal(err)
	}
	var want []struct {
		Name, Type    string
		Shape         []int64
		Bytes, Offset int64
	}
	if err := json.Unmarshal(text, &want); err != nil || len(want) != len(f.Tensors) || len(want) != 4 {
		t.Fatalf("%d tensors, want %d: %v", len(f.Tensors), len(want), err)
	}
	var again []Data
	for i, x := range f.Tensors {
		if w := want[i]; x.Name != w.Name || x.Type.String() != w.Type || !slices.Equal(x.Shape, w.Shape) || x.Bytes != w.Bytes || x.Offset != w.Offset {
			t.Errorf("%+v, want %+v", x, w)
		}
		data, err := f.View(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		again = append(again, Data{x.Name, x.Type, x.Shape, func(w io.Writer) error { _, err := w.Write(data); return err }})
	}
	var out bytes.Buffer
	if err := Write(&out, f.Metadata, again); err != nil {
		t.Fatal(err)
	}
	same, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), same) {
		t.Errorf("written again it has %d bytes that differ from the %d", out.Len(), len(same))
	}
}

// file makes a file of a header with some parts changed.
func file(t *testing.T, change func(b []byte) []byte) string {
	t.Helper()
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := os.WriteFile(path, change(b), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// written makes a file by Write, with one change of what it says.
func written(t *testing.T, pairs []Pair, tensors []Data, change func(b []byte) []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, pairs, tensors); err != nil {
		t.Fatal(err)
	}
	return file(t, func([]byte) []byte { return change(out.Bytes()) })
}

// Damaged and lying files are refused with one line.
func TestBad(t *testing.T) {
	zeros := func(n int) func(io.Writer) error {
		return func(w io.Writer) error { _, err := w.Write(make([]byte, n)); return err }
	}
	set := func(at int, x uint64) func([]byte) []byte {
		return func(b []byte) []byte {
			b = slices.Clone(b)
			binary.LittleEndian.PutUint64(b[at:], x)
			return b
		}
	}
	two := []Data{{"a", F32, []int64{8}, zeros(32)}, {"b", F32, []int64{8}, zeros(32)}}
	// The header of two: 24 bytes, then for each tensor name (9), axes (4), size (8), type (4), offset (8).
	const first = 24
	for name, c := range map[string]struct{ path, want string }{
		"empty":      {file(t, func(b []byte) []byte { return nil }), "ends in the middle of its header, at byte 0"},
		"magic":      {file(t, func(b []byte) []byte { return append([]byte("GGML"), b[4:]...) }), `is no GGUF file: it begins with "GGML"`},
		"version":    {file(t, func(b []byte) []byte { b[4] = 9; return b }), "has version 9 of GGUF; 2 and 3 are read"},
		"big endian": {file(t, func(b []byte) []byte { copy(b[4:], []byte{0, 0, 0, 3}); return b }), "is big-endian, which is not read"},
		"tensors":    {file(t, set(8, 1<<60)), "claims 1152921504606846976 tensors, more than its"},
		"metadata":   {file(t, set(16, 1<<60)), "claims 1152921504606846976 metadata, more than its"},
		"key":        {file(t, set(24, 1<<60)), "a key of the metadata claims 1152921504606846976 bytes, more than the file has left"},
		"cut":        {file(t, func(b []byte) []byte { return b[:len(b)-40] }), "tensor x.q8_0 needs bytes"},
		"header":     {file(t, func(b []byte) []byte { return b[:300] }), "ends in the middle of its header, at byte 300"},
		"overlap":    {written(t, nil, two, set(first+33+25, 0)), "tensors a and b lie over each other"},
		"alignment":  {written(t, nil, two, set(first+33+25, 8)), "tensor b begins at 8, which is no multiple of 32"},
		"beyond":     {written(t, nil, two, set(first+33+25, 1<<40)), "tensor b needs bytes"},
		"huge":       {written(t, nil, two, set(first+9+4, 1<<62)), "tensor a: shape [4611686018427387904] has too many elements"},
		"negative":   {written(t, nil, two, set(first+9+4, 1<<63)), "tensor a: shape [-9223372036854775808] has too many elements"},
		"type":       {written(t, nil, two, func(b []byte) []byte { b[first+21] = 99; return b }), "tensor a: has type 99, which is not known"},
		"blocks":     {written(t, nil, two, func(b []byte) []byte { b[first+21] = 8; return b }), "tensor a: rows of 8 elements are no whole number of blocks of 32, as q8_0 wants"},
		"axes":       {written(t, nil, two, func(b []byte) []byte { b[first+9] = 5; return b }), "tensor a has 5 axes, more than 4"},
		"twice":      {written(t, []Pair{{"k", uint8(1)}, {"k", uint8(2)}}, nil, slices.Clone[[]byte]), `metadata has "k" twice`},
		"align":      {written(t, []Pair{{"k", uint8(1)}}, nil, func(b []byte) []byte { return append(b[:16:16], alignmentOf(7)...) }), "general.alignment is 7; want a multiple of 8"},
		"array":      {written(t, []Pair{{"k", []uint8{1}}}, nil, set(24+9+4+4, 1<<50)), "claims 1125899906842624 values of k, more than its"},
		"kind":       {written(t, []Pair{{"k", uint8(1)}}, nil, func(b []byte) []byte { b[33] = 77; return b }), `metadata "k" has a value of kind 77, which is not known`},
		"truth":      {written(t, []Pair{{"k", true}}, nil, func(b []byte) []byte { b[37] = 3; return b }), `metadata "k": 3 is no truth value`},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Open(c.path)
			if err == nil {
				f.Close()
				t.Fatal("is read")
			}
			if text := err.Error(); !strings.HasPrefix(text, c.path+": "+c.want) || strings.Contains(text, "\n") {
				t.Errorf("%s\nwant %s", text, c.want)
			}
		})
	}
}

// alignmentOf is one pair of metadata, with its count before it.
func alignmentOf(n uint32) []byte {
	h := &header{}
	h.u64(1)
	h.text(alignmentKey)
	h.u32(kindU32)
	h.u32(n)
	return h.b
}

// What cannot be written is an error, not a file.
func TestWriteRefuses(t *testing.T) {
	none := func(io.Writer) error { return nil }
	for want, c := range map[string]struct {
		pairs   []Pair
		tensors []Data
	}{
		`metadata "k": int has no kind in GGUF`:                     {[]Pair{{"k", 1}}, nil},
		"tensor a has 0 bytes, want 32":                             {nil, []Data{{"a", F32, []int64{8}, none}}},
		"tensor a: has 5 axes, more than 4":                         {nil, []Data{{"a", F32, []int64{1, 1, 1, 1, 1}, none}}},
		"general.alignment is 64; files are written with 32":        {[]Pair{{alignmentKey, uint32(64)}}, nil},
		"tensor a: rows of 5 elements are no whole number of block": {nil, []Data{{"a", 8, []int64{5}, none}}},
	} {
		if err := Write(io.Discard, c.pairs, c.tensors); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// FuzzOpen checks that no file makes the reader panic, or hold more memory
// than a small multiple of the file.
func FuzzOpen(f *testing.F) {
	b, err := os.ReadFile(golden)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:200])
	path := filepath.Join(f.TempDir(), "x.gguf")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		g, err := Open(path)
		if err != nil {
			return
		}
		for _, x := range g.Tensors {
			if data, err := g.View(x.Name); err != nil || int64(len(data)) != x.Bytes {
				t.Errorf("%s: %d bytes of %d, %v", x.Name, len(data), x.Bytes, err)
			}
		}
		g.Close()
	})
}
