package tensorfile

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/npy"
)

// magic is what a .npy file begins with.
const magic = npy.Magic

// npyFile returns a version 1 file with this header and n bytes of data.
func npyFile(header string, n int) string {
	b := binary.LittleEndian.AppendUint16([]byte(magic+"\x01\x00"), uint16(len(header)))
	return string(b) + header + strings.Repeat("\x00", n)
}

func array(descr, shape string, n int) string {
	return npyFile("{'descr': '"+descr+"', 'fortran_order': False, 'shape': "+shape+", }\n", n)
}

func put(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadNPY(t *testing.T) {
	for name, c := range map[string]struct{ text, fact string }{
		"short":             {"\x93NUM", "is not a .npy file: it has only 4 bytes"},
		"other":             {"PK\x03\x04aaaaaaaa", "is not a .npy file: it begins with"},
		"version":           {magic + "\x04\x00aaaaaaaa", "version 4.0; want 1, 2 or 3"},
		"no length":         {magic + "\x02\x00\x01\x00", "the length of the header is missing"},
		"absurd header":     {magic + "\x02\x00\xff\xff\xff\xff{}", "header length is 4294967295 bytes, more than the limit"},
		"cut header":        {magic + "\x01\x00\x40\x00{}", "the header takes 64 bytes, the file has 2"},
		"no dict":           {npyFile("[]", 0), "header wants { at"},
		"empty dict":        {npyFile("{}", 0), `header lacks "descr"`},
		"no shape":          {npyFile("{'descr': '<f4', 'fortran_order': False}", 0), `header lacks "shape"`},
		"key twice":         {npyFile("{'shape': (), 'shape': ()}", 0), `has the key "shape" twice`},
		"unknown key":       {npyFile("{'x': 1}", 0), `unknown key "x"`},
		"not a key":         {npyFile("{1: 2}", 0), "header wants a string"},
		"open string":       {npyFile("{'descr", 0), "string that cannot be read"},
		"escape":            {npyFile(`{'descr': '\x3cf4'}`, 0), "string that cannot be read"},
		"goes on":           {npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", 4), "header goes on after its end"},
		"order":             {npyFile("{'fortran_order': 1}", 0), "want True or False"},
		"dtype":             {array("<c16", "()", 16), `dtype "<c16" cannot be read`},
		"no byte order":     {array("f4", "()", 4), "cannot be read"},
		"native order":      {array("=f4", "()", 4), "has no byte order"},
		"neutral order":     {array("|f4", "()", 4), "has no byte order"},
		"empty dtype":       {array("", "()", 4), "dtype is empty"},
		"shape number":      {array("<f4", "(3)", 12), "not a tuple"},
		"shape list":        {array("<f4", "[3]", 12), "header wants ("},
		"shape words":       {array("<f4", "(x,)", 12), "shape wants a number"},
		"shape negative":    {array("<f4", "(-3,)", 12), "shape holds the negative -3"},
		"shape huge":        {array("<f4", "(99999999999999999999,)", 12), "which is out of range"},
		"shape product":     {array("<f4", "(4294967296, 4294967296)", 12), "more bytes than can be counted"},
		"shape zero huge":   {array("<f4", "(0, 4294967296, 4294967296)", 0), "more bytes than can be counted"},
		"widened too large": {array("<i2", "(4611686018427387903,)", 0), "more bytes than can be counted"},
		"many axes":         {array("<f4", "("+strings.Repeat("1,", 65)+")", 4), "more than 64 axes"},
		"absurd shape":      {array("<f4", "(1000000000000,)", 12), "is truncated: shape [1000000000000] of 4-byte elements takes 4000000000000 bytes, the file has 12"},
		"truncated":         {array("<f4", "(3,)", 11), "takes 12 bytes, the file has 11"},
		"trailing":          {array("<f4", "(3,)", 13), "goes on after the array"},
	} {
		t.Run(name, func(t *testing.T) {
			path := put(t, "x.npy", c.text)
			_, err := Read(path)
			checkError(t, err, path, c.fact)
		})
	}
}

func TestOddNPY(t *testing.T) {
	for name, text := range map[string]string{
		"python 2":      array("<f4", "(3L, 1L)", 12),
		"no last comma": array("<f4", "(3, 1)", 12),
		"double quotes": npyFile(`{"shape":(3,1),"fortran_order":True,"descr":"<f4"}`, 12),
		"neutral byte":  array("<u1", "(3, 1)", 3),
	} {
		ts, err := Read(put(t, "x.npy", text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := ts[0].Type.Sizes(); !slices.Equal(got, []int{3, 1}) || !slices.Equal(ts[0].Float64s(), []float64{0, 0, 0}) {
			t.Errorf("%s: %s %v", name, ts[0].Type, ts[0].Float64s())
		}
	}
}

// Whatever is not zero is true.
func TestBooleans(t *testing.T) {
	ts, err := Read(put(t, "x.npy", array("|b1", "(3,)", 0)+"\x00\x01\x02"))
	if err != nil || !bytes.Equal(ts[0].Data, []byte{0, 1, 1}) {
		t.Errorf("%v, %v, want 0 1 1", ts, err)
	}
}

// zipOf makes a .npz of raw entries: name, method, sizes and bytes as given.
func zipOf(t *testing.T, headers ...zip.FileHeader) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, h := range headers {
		body := []byte(h.Comment)
		h.Comment = ""
		if h.CompressedSize64 == 0 {
			h.CompressedSize64 = uint64(len(body))
		}
		w, err := z.CreateRaw(&h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// entry describes a stored entry; the body travels in the comment.
func entry(name, body string) zip.FileHeader {
	return zip.FileHeader{Name: name, Comment: body, UncompressedSize64: uint64(len(body)), CRC32: crc32.ChecksumIEEE([]byte(body))}
}

func deflated(name, body string, says int) zip.FileHeader {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	w.Write([]byte(body))
	w.Close()
	h := entry(name, b.String())
	h.Method, h.UncompressedSize64, h.CRC32 = zip.Deflate, uint64(says), crc32.ChecksumIEEE([]byte(body))
	return h
}

func TestBadNPZ(t *testing.T) {
	good := array("<f4", "(3,)", 12)
	change := func(h zip.FileHeader, f func(*zip.FileHeader)) zip.FileHeader { f(&h); return h }
	zeros := array("|u1", "(100000,)", 100_000)
	for name, c := range map[string]struct{ text, fact string }{
		"no zip":         {good, "is not a zip archive"},
		"truncated":      {zipOf(t, entry("a.npy", good))[:100], "is not a zip archive"},
		"other entry":    {zipOf(t, entry("a.txt", good)), `entry "a.txt" is not a .npy file`},
		"same name":      {zipOf(t, entry("a.npy", good), entry("a.npy", good)), `entry "a.npy" is there twice`},
		"bad array":      {zipOf(t, entry("a.npy", "x")), `entry "a.npy": is not a .npy file`},
		"checksum":       {zipOf(t, change(entry("a.npy", good), func(h *zip.FileHeader) { h.CRC32++ })), `entry "a.npy": is damaged: zip: checksum error`},
		"method":         {zipOf(t, change(entry("a.npy", good), func(h *zip.FileHeader) { h.Method = 12 })), "is compressed by method 12"},
		"deflate broken": {zipOf(t, change(entry("a.npy", good), func(h *zip.FileHeader) { h.Method = zip.Deflate })), `entry "a.npy"`},
		"says more":      {zipOf(t, deflated("a.npy", good, len(good)+4)), "is damaged: it does not expand to the"},
		"says less":      {zipOf(t, deflated("a.npy", good, len(good)-4)), "is damaged: it does not expand to the"},
		"expands more":   {zipOf(t, deflated("a.npy", array("<f4", "(1,)", 4)+"more", len(array("<f4", "(1,)", 4)))), "is damaged: it does not expand to the"},
		"impossible":     {zipOf(t, change(entry("a.npy", good), func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 50 })), "which is impossible"},
		"shares bytes":   {zipOf(t, change(entry("a.npy", good), func(h *zip.FileHeader) { h.CompressedSize64, h.UncompressedSize64 = 1<<40, 1<<40 })), "entries take more than the"},
		"absurd shape":   {zipOf(t, entry("a.npy", array("<f4", "(1000000000000,)", 12))), "is truncated: shape"},
	} {
		t.Run(name, func(t *testing.T) {
			path := put(t, "x.npz", c.text)
			_, err := Read(path)
			checkError(t, err, path, c.fact)
		})
	}
	// What is out of proportion is refused before anything is unpacked.
	path := put(t, "x.npz", zipOf(t, deflated("a.npy", zeros, len(zeros))))
	if ts, err := (npz{1 << 20, 10}).read(path); err != nil || ts[0].Type.Elems() != 100_000 {
		t.Errorf("%v, %v, want 100000 elements", ts, err)
	}
	_, err := (npz{50_000, 10}).read(path)
	if err == nil || !strings.Contains(err.Error(), "or more, more than the limit of 50000 bytes or 10 times its size") {
		t.Errorf("%v, want a refusal", err)
	}
}
