package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const onnxFolder = "../../testdata/golden/onnx"

// The initializers and constants of ONNX files are those that the onnx package
// finds.
func TestONNXFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(onnxFolder, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct {
		Files map[string]map[string]expectedTensor `json:"files"`
	}
	if err := json.Unmarshal(text, &expected); err != nil || len(expected.Files) != 3 {
		t.Fatal(err, expected)
	}
	for name, want := range expected.Files {
		t.Run(name, func(t *testing.T) {
			c := open(t, filepath.Join(onnxFolder, name))
			if got := c.Tensors(); len(got) != len(want) {
				t.Errorf("%d tensors, want %d", len(got), len(want))
			}
			for n, w := range want {
				got, ok := c.Lookup(n)
				if !ok || got.Raw != w.DType || !slices.Equal(got.Shape, w.Shape) {
					t.Errorf("%s: %+v, want %+v", n, got, w)
					continue
				}
				if sum := sha256.Sum256(view(t, c, n)); hex.EncodeToString(sum[:]) != w.SHA256 {
					t.Errorf("%s: other bytes: %x", n, view(t, c, n))
				}
			}
		})
	}
	m := open(t, filepath.Join(onnxFolder, "branches.onnx")).Metadata()
	for key, want := range map[string]string{
		"onnx.opset": "13", "onnx.graph": "branches", "onnx.input.0": "x F32[batch, 3]", "onnx.output.0": "y F32[batch, 3]", "note": "a test",
		"onnx.ops": "Add 2, Cast 1, Constant 4, Gemm 1, If 1, Mul 1, ReduceSum 1", "onnx.producer": "onnxfiles.py",
	} {
		if m[key] != want {
			t.Errorf("%s is %q, want %q", key, m[key], want)
		}
	}
}

func TestBadONNX(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(onnxFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	types, beside := read("types.onnx"), read("beside.onnx")
	field := func(number byte, body string) string {
		if len(body) > 127 {
			return string([]byte{number<<3 | 2, byte(len(body)&0x7f | 0x80), byte(len(body) >> 7)}) + body
		}
		return string([]byte{number<<3 | 2, byte(len(body))}) + body
	}
	model := func(graph string) string { return "\x08\x08" + field(7, graph) + field(8, "\x10\x0d") }
	tensor := func(body string) string { return model(field(5, body)) }
	nested := ""
	for range 18 {
		nested = field(1, field(4, "If")+field(5, field(1, "b")+field(6, nested)))
	}
	for name, c := range map[string]struct{ text, fact string }{
		"good":           {model(""), ""},
		"empty":          {"", "is empty"},
		"text":           {"this is no model, but a text", "is no ONNX file"},
		"cut":            {types[:len(types)/2], "cut short, or no ONNX file"},
		"no graph":       {"\x08\x08" + field(8, "\x10\x0d"), "is no ONNX file"},
		"no opset":       {"\x08\x08" + field(7, ""), "is no ONNX file"},
		"count":          {"\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "a part of it claims"},
		"cycle":          {read("refuse_cycle.onnx"), `node Add "first" reads "q", which nothing before it makes: the graph has a cycle, or is not in order`},
		"text tensor":    {read("refuse_text.onnx"), `tensor "words" has the type 8, which is not read`},
		"axis 2^60":      {tensor("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x10\x10\x01" + field(8, "w")), "takes 4611686018427387904 bytes, but it has 0"},
		"axes overflow":  {tensor(strings.Repeat("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x10", 2) + "\x10\x01" + field(8, "w")), "more bytes than can be counted"},
		"axis negative":  {tensor("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01" + field(8, "w")), `has an axis of size -1`},
		"many axes":      {tensor(strings.Repeat("\x08\x01", 65) + "\x10\x01"), "more than 64 axes"},
		"raw short":      {tensor("\x08\x02\x10\x01" + field(8, "w") + field(9, "1234")), "F32[2] takes 8 bytes, but it has 4"},
		"raw twice":      {tensor("\x08\x01\x10\x01" + field(8, "w") + field(9, "1234") + field(9, "1234")), "has its values twice"},
		"floats cut":     {tensor("\x08\x01\x10\x01" + field(8, "w") + field(4, "123")), "a value that is cut"},
		"no name":        {tensor("\x08\x01\x10\x01" + field(9, "1234")), "has no name"},
		"name twice":     {model(strings.Repeat(field(5, "\x08\x01\x10\x01"+field(8, "w")+field(9, "1234")), 2)), `tensor "w" has no name, one that is too long, or is there twice`},
		"sparse":         {model(field(15, "")), "sparse initializers"},
		"deep":           {model(nested), "more than 16 deep"},
		"beside is gone": {beside, `is in "beside.data": no such file or folder`},
		"beside leads":   {strings.ReplaceAll(beside, "beside.data", "../x/passwd"), `is in "../x/passwd", which is no file inside the folder`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t, map[string]string{"w.onnx": c.text}), "w.onnx")
			k, err := Open(path)
			if c.fact == "" {
				if err != nil {
					t.Fatal(err)
				}
				k.Close()
				return
			}
			checkError(t, err, path, c.fact)
		})
	}
	dir := folder(t, map[string]string{"w.onnx": beside, "beside.data": "short"})
	_, err := Open(filepath.Join(dir, "w.onnx"))
	checkError(t, err, filepath.Join(dir, "w.onnx"), `of "beside.data", which has 5`)
}
