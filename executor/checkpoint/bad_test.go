package checkpoint

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// file returns a safetensors file with this header and n bytes of data.
func file(header string, n int) string {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(len(header)))
	return string(b[:]) + header + strings.Repeat("\x00", n)
}

// folder makes a folder of these files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// checkError wants an *Error of one line that names file and holds fact.
func checkError(t *testing.T, err error, file, fact string) {
	t.Helper()
	var e *Error
	switch {
	case err == nil:
		t.Errorf("no error, want %q", fact)
	case !errors.As(err, &e):
		t.Errorf("%v is not an *Error", err)
	case e.File != file || !strings.HasPrefix(err.Error(), file+": "):
		t.Errorf("%q does not name the file %s", err, file)
	case !strings.Contains(err.Error(), fact):
		t.Errorf("%q does not say %q", err, fact)
	case strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000:
		t.Errorf("%q is not one line", err)
	}
}

const one = `"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`

func TestBadFiles(t *testing.T) {
	tensor := func(dtype, shape, offsets string, n int) string {
		return file(`{"a":{"dtype":"`+dtype+`","shape":`+shape+`,"data_offsets":`+offsets+`}}`, n)
	}
	for name, c := range map[string]struct{ text, fact string }{
		"empty":             {"", "is empty"},
		"seven bytes":       {"1234567", "has 7 bytes, too few"},
		"git lfs":           {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "is a Git LFS pointer"},
		"html":              {"\n <!DOCTYPE html>\n<html></html>", "is an HTML page"},
		"html short":        {"<HTML>404", "is an HTML page"},
		"json":              {`{"error":"gated"}`, "is JSON text, not safetensors"},
		"pickle":            {"PK\x03\x04aaaaaaaaaaaa", "zip archive: zip: not a valid zip file"},
		"gguf":              {"GGUF\x03\x00\x00\x00\x01\x00\x00\x00", "is a GGUF file"},
		"header over file":  {"\x10\x00\x00\x00\x00\x00\x00\x00{}", "header length is 16 bytes, but the file has only 2 after it"},
		"header absurd":     {"\xff\xff\xff\xff\xff\xff\xff\xff{}", "header length is 18446744073709551615 bytes"},
		"header zero":       {file("", 0), "header length is 0"},
		"header binary":     {file("\x00\x01\x02\x03", 0), `begins with '\x00', not {`},
		"header list":       {file("[]", 0), `begins with '[', not {`},
		"header cut":        {file(`{"a":{"dtype"`, 0), "is not JSON: it ends early"},
		"header wrong":      {file(`{"a" 1}`, 0), "is not JSON: invalid character"},
		"header goes on":    {file(`{} {}`, 0), "has more after the JSON object"},
		"header rubbish":    {file(`{} x`, 0), "is not JSON"},
		"header not utf-8":  {file("{\"\xff\":1}", 0), "is not UTF-8"},
		"duplicate tensor":  {file(`{`+one+`,`+one+`}`, 4), `duplicate key "a"`},
		"duplicate escaped": {file(`{`+one+`,`+strings.Replace(one, "a", `\u0061`, 1)+`}`, 4), `duplicate key "a"`},
		"duplicate field":   {file(`{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}`, 4), `duplicate key "dtype"`},
		"long name":         {file(`{"`+strings.Repeat("n", 5000)+`":1}`, 4), "has 5000 bytes, more than the limit"},
		"tensor no object":  {file(`{"a":3}`, 0), `tensor "a": want an object`},
		"tensor incomplete": {file(`{"a":{"dtype":"F32","shape":[1]}}`, 0), `tensor "a": wants dtype, shape and data_offsets`},
		"dtype number":      {file(`{"a":{"dtype":3,"shape":[1],"data_offsets":[0,4]}}`, 4), "dtype is not a string"},
		"shape string":      {tensor("F32", `"4"`, "[0,4]", 4), "want shape as an array"},
		"shape of strings":  {tensor("F32", `["4"]`, "[0,4]", 4), "shape holds something other than a number"},
		"shape nested":      {tensor("F32", `[[1]]`, "[0,4]", 4), "shape holds something other than a number"},
		"shape negative":    {tensor("F32", "[-1]", "[0,4]", 4), "shape holds the negative -1"},
		"shape fraction":    {tensor("F32", "[1.5]", "[0,4]", 4), "shape holds 1.5, which is not a whole number"},
		"shape exponent":    {tensor("F32", "[1e3]", "[0,4]", 4), "shape holds 1e3, which is not a whole number"},
		"shape huge":        {tensor("F32", "[99999999999999999999]", "[0,4]", 4), "which is out of range"},
		"shape overflows":   {tensor("F32", "[4294967296,4294967296]", "[0,4]", 4), "more bytes than can be counted"},
		"bytes overflow":    {tensor("F32", "[4611686018427387904]", "[0,0]", 0), "more bytes than can be counted"},
		"zero times huge":   {tensor("F32", "[0,4294967296,4294967296]", "[0,0]", 0), "more bytes than can be counted"},
		"unknown overflows": {tensor("X9", "[4294967296,4294967296]", "[0,4]", 4), "more bytes than can be counted"},
		"many axes":         {tensor("F32", "["+strings.Repeat("1,", 99)+"1]", "[0,4]", 4), "more than 64 numbers"},
		"one offset":        {tensor("F32", "[1]", "[0]", 4), "data_offsets holds 1 numbers, want 2"},
		"offsets negative":  {tensor("F32", "[1]", "[-4,0]", 4), "data_offsets holds the negative -4"},
		"offsets reversed":  {tensor("F32", "[1]", "[4,0]", 4), "data_offsets end at 0 before they start at 4"},
		"truncated":         {tensor("F32", "[2]", "[0,8]", 5), "its data end at byte 8, but the file has only 5 bytes of data"},
		"out of range":      {tensor("F32", "[1]", "[9223372036854775800,9223372036854775804]", 4), "out of range"},
		"too few bytes":     {tensor("F32", "[3]", "[0,8]", 8), "shape [3] of F32 takes 12 bytes, data_offsets give it 8"},
		"too many bytes":    {tensor("BF16", "[2,1]", "[0,8]", 8), "shape [2 1] of BF16 takes 4 bytes, data_offsets give it 8"},
		"float8 bytes":      {tensor("F8_E4M3", "[2]", "[0,8]", 8), "shape [2] of F8_E4M3 takes 2 bytes"},
		"overlap":           {file(`{`+one+`,"b":{"dtype":"I8","shape":[2],"data_offsets":[3,5]}}`, 5), `tensor "b" starts at data byte 3, inside "a", which ends at 4`},
		"same range":        {file(`{`+one+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), "they overlap"},
		"empty inside":      {file(`{`+one+`,"b":{"dtype":"I8","shape":[0],"data_offsets":[2,2]}}`, 4), "they overlap"},
		"hole":              {file(`{`+one+`,"b":{"dtype":"I8","shape":[2],"data_offsets":[6,8]}}`, 8), `2 bytes between tensors "a" and "b"`},
		"hole first":        {tensor("F32", "[1]", "[4,8]", 8), `4 bytes before tensor "a"`},
		"trailing":          {tensor("F32", "[1]", "[0,4]", 7), "3 bytes after the last tensor"},
		"only trailing":     {file("{}", 7), "7 bytes after the last tensor"},
		"metadata number":   {file(`{"__metadata__":{"k":1}}`, 0), `__metadata__ "k" is not a string`},
		"metadata list":     {file(`{"__metadata__":[]}`, 0), "want an object"},
		"name with newline": {file(`{"a\nb":3}`, 0), `tensor "a\nb": want an object`},
		"deep nesting":      {file(`{"a":{"x":`+strings.Repeat("[", 100_000), 0), "is not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t, map[string]string{"w.safetensors": c.text}), "w.safetensors")
			_, err := Open(path)
			checkError(t, err, path, c.fact)
		})
	}
}

// What is unusual and yet allowed.
func TestOddFiles(t *testing.T) {
	for name, text := range map[string]string{
		"no tensors":     file("{}", 0),
		"padding":        file("{"+one+"}     ", 4),
		"unknown dtype":  file(`{"a":{"dtype":"Q7","shape":[3],"data_offsets":[0,5]}}`, 5),
		"packed 4 bits":  file(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}`, 2),
		"unknown field":  file(`{"a":{"dtype":"F32","later":{"x":[1,{}]},"shape":[1],"data_offsets":[0,4]}}`, 4),
		"scalar":         file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4),
		"empty at start": file(`{`+one+`,"b":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}}`, 4),
		"unordered":      file(`{"b":{"dtype":"I8","shape":[2],"data_offsets":[4,6]},`+one+`}`, 6),
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, filepath.Join(folder(t, map[string]string{"w.safetensors": text}), "w.safetensors"))
			for _, d := range c.Tensors() {
				if b := view(t, c, d.Name); int64(len(b)) != d.Bytes {
					t.Errorf("%s: %d bytes, want %d", d.Name, len(b), d.Bytes)
				}
			}
		})
	}
}

func TestBadFolders(t *testing.T) {
	good := file("{"+one+"}", 4)
	const index = "model.safetensors.index.json"
	mapTo := func(shard string) string { return `{"metadata":{},"weight_map":{"a":"` + shard + `"}}` }
	for name, c := range map[string]struct {
		files map[string]string
		file  string // that the error names, in the folder
		fact  string
	}{
		"no weights":       {map[string]string{"config.json": "{}"}, "", "has no weights: want model.safetensors"},
		"gguf only":        {map[string]string{"x.gguf": ""}, "", "has no weights in safetensors or of PyTorch (found x.gguf)"},
		"two of PyTorch":   {map[string]string{"a.pt": "", "b.pth": "", "training_args.bin": ""}, "", "has 2 files of weights (a.pt, b.pth)"},
		"bad of PyTorch":   {map[string]string{"pytorch_model.bin": ""}, "pytorch_model.bin", "is empty"},
		"two files":        {map[string]string{"a.safetensors": good, "b.safetensors": good}, "", "has 2 .safetensors files (a.safetensors, b.safetensors)"},
		"two indexes":      {map[string]string{"a.safetensors.index.json": "", "b.safetensors.index.json": ""}, "", "has 2 index files"},
		"bad single":       {map[string]string{"model.safetensors": ""}, "model.safetensors", "is empty"},
		"missing shard":    {map[string]string{index: mapTo("x.safetensors")}, index, `names the shard "x.safetensors": no such file or folder`},
		"bad shard":        {map[string]string{index: mapTo("x.safetensors"), "x.safetensors": "v"}, "x.safetensors", "has 1 bytes"},
		"shard is folder":  {map[string]string{index: mapTo("x"), "x/y": ""}, "x", "is not a regular file"},
		"tensor not there": {map[string]string{index: `{"weight_map":{"b":"x.safetensors"}}`, "x.safetensors": good}, index, `says that tensor "b" is in "x.safetensors", but that file lacks it`},
		"tensor twice": {map[string]string{index: `{"weight_map":{"b":"x.safetensors","c":"y.safetensors"}}`,
			"x.safetensors": good, "y.safetensors": good}, "y.safetensors", `tensor "a" is also in x.safetensors, and the index names neither`},
		"traversal":        {map[string]string{index: mapTo("../x.safetensors")}, index, "is not a file inside the folder"},
		"traversal inside": {map[string]string{index: mapTo("a/../../x.safetensors")}, index, "is not a file inside the folder"},
		"absolute":         {map[string]string{index: mapTo("/etc/passwd")}, index, "is not a file inside the folder"},
		"backslash":        {map[string]string{index: mapTo(`..\\x.safetensors`)}, index, "is not a file inside the folder"},
		"nul":              {map[string]string{index: mapTo(`x\u0000`)}, index, "is not a file inside the folder"},
		"no name":          {map[string]string{index: mapTo("")}, index, "is not a file inside the folder"},
		"index empty":      {map[string]string{index: ""}, index, "is empty"},
		"index lfs":        {map[string]string{index: "version https://git-lfs.github.com/spec/v1\n"}, index, "is a Git LFS pointer"},
		"index html":       {map[string]string{index: "<html>"}, index, "is an HTML page"},
		"index no JSON":    {map[string]string{index: "weights"}, index, "is not JSON"},
		"index no map":     {map[string]string{index: `{"metadata":{}}`}, index, "has no weight_map"},
		"index empty map":  {map[string]string{index: `{"weight_map":{}}`}, index, "has no weight_map"},
		"index list":       {map[string]string{index: `{"weight_map":[]}`}, index, "want an object"},
		"index number":     {map[string]string{index: `{"weight_map":{"a":1}}`}, index, `the shard of "a" is not a string`},
		"index duplicate":  {map[string]string{index: `{"weight_map":{"a":"x","a":"y"}}`}, index, `duplicate key "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, c.files)
			_, err := Open(dir)
			checkError(t, err, filepath.Join(dir, c.file), c.fact)
		})
	}
}

func TestMissingPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent")
	_, err := Open(path)
	checkError(t, err, path, "no such file or folder")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

func TestFolderChoice(t *testing.T) {
	good, other := file("{"+one+"}", 4), file("{"+strings.Replace(one, "a", "b", 1)+"}", 4)
	index := `{"weight_map":{"b":"x.safetensors"}}`
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"single before index": {map[string]string{"model.safetensors": good, "model.safetensors.index.json": index, "x.safetensors": other}, "a"},
		"index before others": {map[string]string{"model.safetensors.index.json": index, "x.safetensors": other, "y.safetensors": good}, "b"},
		"only index":          {map[string]string{"diffusion.safetensors.index.json": index, "x.safetensors": other}, "b"},
		"only file":           {map[string]string{"diffusion.safetensors": good}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			ts := open(t, folder(t, c.files)).Tensors()
			if len(ts) != 1 || ts[0].Name != c.want {
				t.Errorf("%v, want the one tensor %s", ts, c.want)
			}
		})
	}
}

// The index decides between two copies, however it spells a file; a tensor
// that it does not name counts.
func TestIndexIsTheAuthority(t *testing.T) {
	dir := folder(t, map[string]string{
		"model.safetensors.index.json": `{"weight_map":{"a":"y.safetensors","b":"./x.safetensors","c":"d/../y.safetensors"}}`,
		"x.safetensors":                file(`{`+one+`,"b":{"dtype":"I8","shape":[1],"data_offsets":[4,5]}}`, 5),
		"y.safetensors":                file(`{`+one+`,"c":{"dtype":"I8","shape":[1],"data_offsets":[4,5]},"d":{"dtype":"I8","shape":[1],"data_offsets":[5,6]}}`, 6),
	})
	c := open(t, dir)
	if len(c.files) != 2 {
		t.Errorf("%d files are open, want 2", len(c.files))
	}
	want := map[string]string{"a": "y.safetensors", "b": "x.safetensors", "c": "y.safetensors", "d": "y.safetensors"}
	if n := len(c.Tensors()); n != len(want) {
		t.Errorf("%d tensors, want %d", n, len(want))
	}
	for name, shard := range want {
		if d, ok := c.Lookup(name); !ok || d.File != filepath.Join(dir, shard) {
			t.Errorf("%s is in %s, want %s", name, d.File, shard)
		}
	}
}
