package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// pack makes an archive of stored entries: name, contents, and so on.
func pack(t *testing.T, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: parts[i], Method: zip.Store})
		if err == nil {
			_, err = w.Write([]byte(parts[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(data []byte) (*Archive, error) {
	return Open(bytes.NewReader(data), int64(len(data)), Usual)
}

func TestOpen(t *testing.T) {
	data := pack(t, "a/", "", "a/one", "first", "two", "")
	a, err := read(data)
	if err != nil || len(a.Entries) != 2 {
		t.Fatal(a, err)
	}
	one := a.Lookup("a/one")
	if one == nil || !one.Stored || string(data[one.Offset:one.Offset+one.Size]) != "first" {
		t.Errorf("%+v", one)
	}
	for name, want := range map[string]string{"a/one": "first", "two": ""} {
		if got, err := a.Lookup(name).Read(10); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := one.Read(4); err == nil || !strings.Contains(err.Error(), "has 5 bytes, more than the limit of 4") {
		t.Error(err)
	}
	if a.Lookup("three") != nil {
		t.Error("three is there")
	}
}

func TestRefuses(t *testing.T) {
	// The directory names the first entry's bytes for the second as well: a
	// small file could so stand for very much.
	shared := pack(t, "a", "12345678", "b", "12345678")
	at := bytes.LastIndex(shared, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(shared[at+42:], 0)
	encrypted := pack(t, "a", "x")
	encrypted[bytes.Index(encrypted, []byte("PK\x01\x02"))+8] |= 1
	other := pack(t, "a", "12345678")
	longer := bytes.Index(other, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(other[longer+24:], 4)
	damaged := pack(t, "a", "12345678")
	damaged[bytes.Index(damaged, []byte("1234"))]++
	for fact, data := range map[string][]byte{
		`entries "a" and "b" share bytes`:                              shared,
		`entry "a" is encrypted`:                                       encrypted,
		`entry "/etc/passwd" has a name that leads out of the archive`: pack(t, "/etc/passwd", "x"),
		`entry "a/../../b" has a name that leads out of the archive`:   pack(t, "a/../../b", "x"),
		`entry "a" is there twice`:                                     pack(t, "a", "x", "a", "y"),
		`entry "a" is stored, but says that its 8 bytes are 4`:         other,
		"zip: not a valid zip file":                                    []byte("no archive"),
	} {
		if _, err := read(data); err == nil || !strings.Contains(err.Error(), fact) {
			t.Errorf("%v, want %q", err, fact)
		}
	}
	a, err := read(damaged)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Lookup("a").Read(10); err == nil || !strings.Contains(err.Error(), "is damaged: zip: checksum error") {
		t.Error(err)
	}
}
