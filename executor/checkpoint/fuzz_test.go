package checkpoint

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pipe.dev/compiler/ir"
)

func checkMessage(t *testing.T, err error) {
	t.Helper()
	if s := err.Error(); s == "" || strings.Contains(s, "\n") || len(s) > 4<<10 || !utf8.ValidString(s) {
		t.Errorf("not a one-line message: %q", s)
	}
}

// FuzzHeader reads whole files. What is accepted must cover the file exactly,
// and must be the same after it is written again.
func FuzzHeader(f *testing.F) {
	for _, name := range []string{"testdata/all.safetensors", "testdata/sharded/model-00002-of-00002.safetensors"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(file(`{"__metadata__":{"k":"v"},`+one+`,"b":{"dtype":"F8_E4M3","shape":[2,0],"data_offsets":[4,4]}}  `, 4)))
	f.Add([]byte(file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}`, 4)))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := readHeader(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			checkMessage(t, err)
			return
		}
		end, seen := int64(-1), map[string]bool{}
		var ts []Tensor
		for _, d := range h.tensors {
			if end >= 0 && d.Offset != end || d.Bytes < 0 || d.Offset+d.Bytes > int64(len(text)) || seen[d.Name] {
				t.Fatalf("%+v in %d bytes after %d", d, len(text), end)
			}
			end, seen[d.Name] = d.Offset+d.Bytes, true
			if d.DType == ir.Invalid {
				continue
			}
			if d.Type().Bytes() != d.Bytes {
				t.Fatalf("%+v takes %d bytes", d, d.Type().Bytes())
			}
			ts = append(ts, d)
		}
		if len(h.tensors) > 0 && end != int64(len(text)) {
			t.Fatalf("tensors end at %d of %d", end, len(text))
		}
		again, err := marshalHeader(ts, h.metadata)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ts {
			again = append(again, text[d.Offset:d.Offset+d.Bytes]...)
		}
		g, err := readHeader(bytes.NewReader(again), int64(len(again)))
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		if len(g.tensors) != len(ts) || fmt.Sprint(g.metadata) != fmt.Sprint(h.metadata) {
			t.Fatalf("%d tensors and %v after writing, want %d and %v", len(g.tensors), g.metadata, len(ts), h.metadata)
		}
	})
}

// FuzzIndex reads index.json files. No shard that is accepted may lie outside
// the folder.
func FuzzIndex(f *testing.F) {
	text, err := os.ReadFile("testdata/sharded/model.safetensors.index.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"weight_map":{"a":"../x","b":"/x","c":"d/../../x"}}`))
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		weights, err := parseIndex(text)
		if err != nil {
			checkMessage(t, err)
			return
		}
		if len(weights) == 0 {
			t.Fatal("accepted without weights")
		}
		for name, shard := range weights {
			full := filepath.Join("folder", filepath.FromSlash(shard))
			if full != "folder" && !strings.HasPrefix(full, "folder"+string(filepath.Separator)) {
				t.Fatalf("%q is at %q", name, full)
			}
		}
	})
}

// BenchmarkHeader reads the header of a model of 80 blocks.
func BenchmarkHeader(b *testing.B) {
	var ts []Tensor
	for i := range 80 {
		for _, n := range []string{"q", "k", "v", "o", "gate", "up", "down", "n1", "n2"} {
			ts = append(ts, Tensor{Name: fmt.Sprintf("model.layers.%d.self_attn.%s_proj.weight", i, n), Raw: "F32", DType: ir.F32, Shape: []int{2, 2}, Bytes: 16})
		}
	}
	head, err := marshalHeader(ts, nil)
	if err != nil {
		b.Fatal(err)
	}
	text := append(head, make([]byte, 16*len(ts))...)
	b.SetBytes(int64(len(head)))
	for b.Loop() {
		if _, err := readHeader(bytes.NewReader(text), int64(len(text))); err != nil {
			b.Fatal(err)
		}
	}
}
