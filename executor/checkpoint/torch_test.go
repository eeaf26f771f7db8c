package checkpoint

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const torchFolder = "../../testdata/golden/torch"

type expectedTensor struct {
	DType  string `json:"dtype"`
	Shape  []int  `json:"shape"`
	SHA256 string `json:"sha256"`
}

// Every file that torch.save and torch.jit.save wrote holds what PyTorch says.
func TestTorchFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(torchFolder, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct {
		Files map[string]map[string]expectedTensor `json:"files"`
	}
	if err := json.Unmarshal(text, &expected); err != nil {
		t.Fatal(err)
	}
	if len(expected.Files) < 16 {
		t.Fatalf("only %d files", len(expected.Files))
	}
	for name, want := range expected.Files {
		t.Run(name, func(t *testing.T) {
			c := open(t, filepath.Join(torchFolder, name))
			if got := c.Tensors(); len(got) != len(want) {
				t.Errorf("%d tensors, want %d: %v", len(got), len(want), got)
			}
			for n, w := range want {
				got, ok := c.Lookup(n)
				if !ok || got.Raw != w.DType || !slices.Equal(got.Shape, w.Shape) {
					t.Errorf("%s: %+v, want %+v", n, got, w)
					continue
				}
				data := view(t, c, n)
				if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != w.SHA256 || int64(len(data)) != got.Bytes {
					t.Errorf("%s %s %v: other bytes: %x", n, w.DType, w.Shape, data)
				}
				c.Release(n)
				if again := view(t, c, n); !bytes.Equal(again, data) {
					t.Errorf("%s: other bytes after Release", n)
				}
			}
		})
	}
}

// Numbers and texts beside the tensors are metadata.
func TestTorchNotes(t *testing.T) {
	m := open(t, filepath.Join(torchFolder, "nested.pt")).Metadata()
	for key, want := range map[string]string{"epoch": "7", "name": "tiny", "rate": "0.5", "flag": "true"} {
		if m[key] != want {
			t.Errorf("%s is %q, want %q", key, m[key], want)
		}
	}
}

func TestTorchRefuses(t *testing.T) {
	for name, fact := range map[string]string{
		"refuse_module.pt":    "holds Python objects (torch.nn.modules.linear.Linear), which are never executed: save the weights alone",
		"refuse_call.pt":      "holds Python objects (posix.system), which are never executed",
		"refuse_sparse.pt":    "holds a tensor of a kind that is not read (torch._utils._rebuild_sparse_tensor)",
		"refuse_quantised.pt": "holds a tensor of a kind that is not read (torch._utils._rebuild_qtensor)",
		"refuse_pickle.bin":   "is a Python pickle, but not one that torch.save wrote",
	} {
		path := filepath.Join(torchFolder, name)
		_, err := Open(path)
		checkError(t, err, path, fact)
	}
}

// torchZip makes an archive around a pickle.
func torchZip(t *testing.T, pickle string, entries ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	put := func(name, text string) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put("x/data.pkl", pickle)
	for i := 0; i+1 < len(entries); i += 2 {
		put(entries[i], entries[i+1])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// tensorPickle is {"w": tensor} with these parts spelled as operations.
func tensorPickle(key, numel, offset, size, stride string) string {
	return "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX" +
		string([]byte{byte(len(key)), 0, 0, 0}) + key + "X\x03\x00\x00\x00cpu" + numel + "tQ" + offset + size + stride + "\x89ccollections\nOrderedDict\n)RtRs."
}

func TestBadTorch(t *testing.T) {
	four := strings.Repeat("\x00", 16)
	one, two := "(K\x01t", "(K\x02t"
	huge := "\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x10" // 2^60
	for name, c := range map[string]struct{ text, fact string }{
		"good":              {torchZip(t, tensorPickle("0", "K\x04", "K\x00", two, one), "x/data/0", four), ""},
		"no pickle":         {torchZip(t, ""), "pickle, byte 0: wants 1 bytes, but only 0 are left"},
		"no data":           {torchZip(t, tensorPickle("0", "K\x04", "K\x00", two, one)), `no entry "x/data/0"`},
		"key leads out":     {torchZip(t, tensorPickle("../../etc/passwd", "K\x04", "K\x00", two, one), "x/data/0", four), `no entry "x/data/../../etc/passwd"`},
		"entry leads out":   {torchZip(t, tensorPickle("0", "K\x04", "K\x00", two, one), "../x", four), `entry "../x" has a name that leads out of the archive`},
		"storage too long":  {torchZip(t, tensorPickle("0", "K\x05", "K\x00", two, one), "x/data/0", four), `storage "0" takes 20 bytes, but its entry has 16`},
		"storage 2^60":      {torchZip(t, tensorPickle("0", huge, "K\x00", two, one), "x/data/0", four), `storage "0" takes 4611686018427387904 bytes`},
		"storage 2^70":      {torchZip(t, tensorPickle("0", "\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x40", "K\x00", two, one), "x/data/0", four), "is out of range"},
		"storage negative":  {torchZip(t, tensorPickle("0", "J\xff\xff\xff\xff", "K\x00", two, one), "x/data/0", four), `storage "0" claims -1 elements`},
		"shape outside":     {torchZip(t, tensorPickle("0", "K\x04", "K\x03", two, one), "x/data/0", four), "does not fit into its storage of 16 bytes"},
		"stride outside":    {torchZip(t, tensorPickle("0", "K\x04", "K\x00", two, "("+huge+"t"), "x/data/0", four), "does not fit into its storage"},
		"offset 2^60":       {torchZip(t, tensorPickle("0", "K\x04", huge, two, one), "x/data/0", four), "begins at 1152921504606846976"},
		"shape 2^60":        {torchZip(t, tensorPickle("0", "K\x04", "K\x00", "("+huge+"t", "(K\x00t"), "x/data/0", four), "more elements than can be counted"},
		"shape 2^120":       {torchZip(t, tensorPickle("0", "K\x04", "K\x00", "("+huge+huge+"t", "(K\x00K\x00t"), "x/data/0", four), "more elements than can be counted"},
		"expanded far":      {torchZip(t, tensorPickle("0", "K\x04", "K\x00", "(J\x00\x00\x00\x40t", "(K\x00t"), "x/data/0", four), "takes 4294967296 bytes, but its storage has 16"},
		"negative stride":   {torchZip(t, tensorPickle("0", "K\x04", "K\x00", two, "(J\xff\xff\xff\xfft"), "x/data/0", four), "strides of a tensor: holds the negative -1"},
		"ranks differ":      {torchZip(t, tensorPickle("0", "K\x04", "K\x00", two, "(K\x01K\x01t"), "x/data/0", four), "a tensor of shape [2] has strides [1 1]"},
		"big-endian":        {torchZip(t, tensorPickle("0", "K\x04", "K\x00", two, one), "x/data/0", four, "x/byteorder", "big"), `byte order is "big"`},
		"two pickles":       {torchZip(t, tensorPickle("0", "K\x04", "K\x00", two, one), "y/data.pkl", four), `holds both "x/data.pkl" and "y/data.pkl"`},
		"same entry":        {torchZip(t, tensorPickle("0", "K\x04", "K\x00", two, one), "x/data/0", four, "x/data/0", four), `entry "x/data/0" is there twice`},
		"unknown global":    {torchZip(t, "\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."), "holds Python objects (os.system)"},
		"builtins eval":     {torchZip(t, "\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R."), "holds Python objects (builtins.eval)"},
		"script class":      {torchZip(t, "\x80\x02c__torch__\nNet\n)\x81."), "holds Python objects (__torch__.Net)"},
		"memo empty":        {torchZip(t, "\x80\x02h\x07."), "memo has nothing at 7"},
		"text cut":          {torchZip(t, "\x80\x02X\xff\xff\xff\xffabc"), "wants 4294967295 bytes, but only 3 are left"},
		"text of 2^60":      {torchZip(t, "\x80\x04\x8d\x00\x00\x00\x00\x00\x00\x00\x10abc"), "wants 1152921504606846976 bytes"},
		"frame of 2^60":     {torchZip(t, "\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x10N."), "wants 1152921504606846976 bytes"},
		"number too long":   {torchZip(t, "\x80\x02\x8b\xff\xff\xff\x7f."), "a number has 2147483647 bytes"},
		"stack empty":       {torchZip(t, "\x80\x02."), "the stack is empty"},
		"no mark":           {torchZip(t, "\x80\x02t."), "there is no mark"},
		"below the mark":    {torchZip(t, "\x80\x02NN(\x86."), "takes 2 values from a stack of 0"},
		"odd items":         {torchZip(t, "\x80\x02}(NNNu."), "a key has no value"},
		"items into a text": {torchZip(t, "\x80\x02X\x01\x00\x00\x00wNa."), "puts items into a text"},
		"call of a dict":    {torchZip(t, "\x80\x02})R."), "calls a dict"},
		"protocol 0":        {torchZip(t, "(dp0\n."), "is of protocol 0 or 1"},
		"protocol 9":        {torchZip(t, "\x80\x09N."), "protocol 9; 2 to 5 are read"},
		"extension":         {torchZip(t, "\x80\x02\x82\x01."), "it has extension codes"},
		"buffer":            {torchZip(t, "\x80\x05\x97."), "buffers outside of the pickle"},
		"holds itself":      {torchZip(t, "\x80\x02]q\x00h\x00a."), "more than 64 deep"},
		"two names":         {torchZip(t, strings.Replace(strings.Replace(tensorPickle("0", "K\x04", "K\x00", two, one), "Rs.", "Rq\x01sX\x01\x00\x00\x00vh\x01s}X\x01\x00\x00\x00ah\x00s.", 1), "}X", "}q\x00X", 1), "x/data/0", four), "ends with 2 values on its stack"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t, map[string]string{"w.pt": c.text}), "w.pt")
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
}

// A list that holds a list twice, and so on, 40 deep, stands for 2^40 values;
// whoever walks through it must give up.
func TestTorchLaughs(t *testing.T) {
	laughs := "\x80\x02]q\x000"
	for i := range 40 {
		at := string([]byte{'h', byte(i)})
		laughs += "](" + at + at + "e" + string([]byte{'q', byte(i + 1)}) + "0"
	}
	laughs += "h\x28."
	path := filepath.Join(folder(t, map[string]string{"w.pt": torchZip(t, laughs)}), "w.pt")
	_, err := Open(path)
	checkError(t, err, path, "its collections are shared so often that there is no end to them")
}

// A folder with pytorch_model.bin, whole or in shards, is opened like one of
// safetensors.
func TestTorchFolders(t *testing.T) {
	part := func(name string) string {
		text, err := os.ReadFile(filepath.Join(torchFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	single := folder(t, map[string]string{"pytorch_model.bin": part("state_dict.pth"), "training_args.bin": part("refuse_module.pt"), "optimizer.pt": part("training.pt")})
	c := open(t, single)
	if d, ok := c.Lookup("0.weight"); !ok || filepath.Base(d.File) != "pytorch_model.bin" {
		t.Errorf("%+v, want 0.weight of pytorch_model.bin", d)
	}
	sharded := folder(t, map[string]string{
		"pytorch_model-00001-of-00002.bin": part("list.pt"), "pytorch_model-00002-of-00002.bin": part("compressed.pt"),
		"pytorch_model.bin.index.json": `{"weight_map": {"0": "pytorch_model-00001-of-00002.bin", "1": "pytorch_model-00001-of-00002.bin", "cube": "pytorch_model-00002-of-00002.bin"}}`,
	})
	c = open(t, sharded)
	if len(c.Tensors()) != 12 || len(view(t, c, "cube")) != 72 || len(view(t, c, "1")) != 8 {
		t.Errorf("%v", c.Tensors())
	}
}
