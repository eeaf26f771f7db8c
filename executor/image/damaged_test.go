package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pipe.dev/executor/checkpoint"
)

// reseal makes the checksum of the first chunk of a PNG file right again.
func reseal(data []byte) []byte {
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
	return data
}

// huge says that a file has other sizes than it has.
func huge(data []byte, at int, put func([]byte)) []byte {
	put(data[at:])
	return data
}

// What is damaged is told in a line, with what is known of it.
func TestDamaged(t *testing.T) {
	cut := func(name string, share float64) []byte { d := mustRead(t, name); return d[:int(share*float64(len(d)))] }
	be32 := func(v uint32) func([]byte) { return func(b []byte) { binary.BigEndian.PutUint32(b, v) } }
	le16 := func(v uint16) func([]byte) { return func(b []byte) { binary.LittleEndian.PutUint16(b, v) } }
	frame := bytes.Index(mustRead(t, "rgb420.jpg"), []byte{0xff, 0xc0})
	canvas := append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x03\x00\x00VP8L\x06\x00\x00\x00\x2f"), 0xff, 0xff, 0xff, 0x0f, 0)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":           {nil, "is empty"},
		"text":            {[]byte("hello, world"), "is no picture: want PNG, JPEG, WebP or GIF"},
		"bomb.png":        {reseal(huge(mustRead(t, "rgb.png"), 16, be32(1<<30))), "is a PNG of 1073741824 x 29 pixels, 31138512896 together; at most 89478485 are decoded"},
		"wide.png":        {reseal(huge(mustRead(t, "rgb.png"), 16, be32(1<<31+5))), "is a damaged PNG file, or one of a kind that is not read: non-positive dimension"},
		"bomb.jpg":        {huge(mustRead(t, "rgb420.jpg"), frame+5, be32(0xffffffff)), "is a JPEG of 65535 x 65535 pixels, 4294836225 together; at most 89478485 are decoded"},
		"bomb.gif":        {huge(mustRead(t, "plain.gif"), 6, be32(0xffffffff)), "is a GIF of 65535 x 65535 pixels, 4294836225 together; at most 89478485 are decoded"},
		"bomb.webp":       {huge(mustRead(t, "lossy.webp"), 26, func(b []byte) { le16(0x3fff)(b); le16(0x3fff)(b[2:]) }), "is a WebP of 16383 x 16383 pixels, 268402689 together; at most 89478485 are decoded"},
		"hidden.webp":     {canvas, "a frame at (0,0)-(4,4) on a canvas of 4 x 4 holds a picture of 16384 x 16384"},
		"flat.jpg":        {huge(mustRead(t, "rgb420.jpg"), frame+5, be32(0)), ""},
		"cut.png":         {cut("rgb.png", 0.7), "is a damaged PNG file: its data end early"},
		"cut.jpg":         {cut("rgb420.jpg", 0.9), "is a damaged JPEG file: its data end early"},
		"cut.gif":         {cut("plain.gif", 0.7), "is a damaged GIF file: its data end early"},
		"cut.webp":        {cut("lossless.webp", 0.7), "its data end early"},
		"header.png":      {cut("rgb.png", 0.005), "is a damaged PNG file: its data end early"},
		"checksum.png":    {huge(mustRead(t, "rgb.png"), 16, be32(36)), "is a damaged PNG file, or one of a kind that is not read: invalid checksum"},
		"arithmetic.jpg":  {huge(mustRead(t, "rgb420.jpg"), frame+1, func(b []byte) { b[0] = 0xc9 }), "is a damaged JPEG file, or one of a kind that is not read: "},
		"no picture.webp": {[]byte("RIFF\x04\x00\x00\x00WEBP"), "it holds no picture"},
	} {
		_, err := Decode(c.data, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v\nwant %s", name, err, c.want)
		}
	}
}

// A bomb is refused before it is decoded: nothing of its size is allocated.
func TestBomb(t *testing.T) {
	data := reseal(huge(mustRead(t, "rgb.png"), 16, func(b []byte) {
		binary.BigEndian.PutUint32(b, 60000)
		binary.BigEndian.PutUint32(b[4:], 60000)
	}))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Decode(data, Options{})
	runtime.ReadMemStats(&after)
	if err == nil || after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("%d bytes allocated, %v", after.TotalAlloc-before.TotalAlloc, err)
	}
	if _, err := Decode(mustRead(t, "rgb.png"), Options{Pixels: 37*29 - 1}); err == nil {
		t.Error("one pixel beyond a limit was read")
	}
	if _, err := Decode(mustRead(t, "rgb.png"), Options{Pixels: 37 * 29}); err != nil {
		t.Error(err)
	}
}

// Texts that unpack to more than there is room for are left out.
func TestTextBomb(t *testing.T) {
	p := New(2, 2, 3, false)
	p.Text = []Text{{"a", strings.Repeat("x", maxText+1)}, {"b", "kept"}}
	data, err := encoded("x.png", p, 0)
	if err != nil {
		t.Fatal(err)
	}
	q, err := Decode(data, Options{})
	if err != nil || len(q.Text) != 1 || q.Text[0].Key != "b" {
		t.Error(len(q.Text), err)
	}
}

// Errors of files name them, and are those of bad data.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.png"): "no such file or folder",
		dir:                            "is not a regular file",
	} {
		_, err := Read(path, Options{})
		var e *checkpoint.Error
		if !errors.As(err, &e) || e.File != path || e.Msg != want {
			t.Errorf("%v, want %s: %s", err, path, want)
		}
	}
	bad := filepath.Join(dir, "bad.png")
	if err := os.WriteFile(bad, []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(bad, Options{}); err == nil || err.Error() != bad+": is no picture: want PNG, JPEG, WebP or GIF" {
		t.Error(err)
	}
	p, err := Read(filepath.Join(golden, "files", "turned6.jpg"), Options{Stored: true})
	if err != nil || p.Width != 24 || p.Height != 16 {
		t.Error(p, err)
	}
}

// Every single byte changed, and every length, gives a picture or an error.
func TestMutated(t *testing.T) {
	for _, name := range []string{"palette.png", "turned6.jpg", "grey.jpg", "lossy_even.webp", "animated.webp", "lossy_alpha.webp", "clear.gif", "turned6.png"} {
		data := mustRead(t, name)
		for i := range data {
			for _, v := range []byte{0, 0xff, data[i] ^ 1} {
				broken := bytes.Clone(data)
				broken[i] = v
				check(t, fmt.Sprintf("%s byte %d", name, i), broken)
			}
			check(t, fmt.Sprintf("%s cut at %d", name, i), data[:i])
		}
	}
}

// check reads data, which may be anything.
func check(t *testing.T, name string, data []byte) {
	t.Helper()
	p, err := Decode(data, Options{Pixels: 1 << 16})
	switch {
	case err != nil && (strings.Contains(err.Error(), "\n") || err.Error() == ""):
		t.Errorf("%s: %q", name, err)
	case err == nil && (p.Width*p.Height*p.Channels != len(p.Pix)+len(p.Deep) || p.Width*p.Height > 1<<16):
		t.Errorf("%s: %v with %d samples", name, p, len(p.Pix)+len(p.Deep))
	}
}

func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join(golden, "files", "*"))
	for _, file := range files {
		f.Add(mustRead(f, filepath.Base(file)))
	}
	f.Fuzz(func(t *testing.T, data []byte) { check(t, "", data) })
}
