package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

// TestGolden reads every kind of WAV file that libsndfile writes, bit for bit
// as it reads them (testdata/golden/audio.py).
func TestGolden(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "golden", "audio")
	values, err := tensorfile.Read(filepath.Join(dir, "values.npz"))
	if err != nil {
		t.Fatal(err)
	}
	if len(values) < 18 {
		t.Fatalf("%d files", len(values))
	}
	for _, v := range values {
		c, err := Read(filepath.Join(dir, v.Name+".wav"), Options{})
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		data, _ := os.ReadFile(filepath.Join(dir, v.Name+".wav"))
		if i, err := Probe(bytes.NewReader(data), int64(len(data)), Options{}); err != nil || i != (Info{c.Rate, c.Channels, c.Len()}) {
			t.Errorf("%s: %v, %v", v.Name, i, err)
		}
		if s := v.Type.Sizes(); c.Rate != 22050 || c.Len() != s[0] || c.Channels != s[1] {
			t.Errorf("%s is %v", v.Name, c)
		}
		if !slices.Equal(c.Samples, v.Float32s()) {
			t.Errorf("%s: samples differ", v.Name)
		}
	}
}

// chunk is an id, a size and a body, without a pad byte.
func chunk(id string, size int, body string) string {
	return id + string(binary.LittleEndian.AppendUint32(nil, uint32(size))) + body
}

func format(kind, channels, rate, frame, bits int) string {
	var b []byte
	for _, v := range []int{kind, channels} {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	for _, v := range []int{rate, rate * frame} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	for _, v := range []int{frame, bits} {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return chunk("fmt ", 16, string(b))
}

func riff(chunks ...string) string {
	return chunk("RIFF", 0, "WAVE"+strings.Join(chunks, ""))
}

func decode(text string) (*Clip, error) {
	return Decode(strings.NewReader(text), int64(len(text)), Options{Samples: 1000})
}

// TestOddFiles: sizes that are not known, chunks that are odd or unknown.
func TestOddFiles(t *testing.T) {
	mono := format(1, 1, 8000, 2, 16)
	for name, text := range map[string]string{
		"size that was never written": riff(mono, chunk("data", 0xffffffff, "\x00\x40\x00\xc0")),
		"size 0 of a stream":          riff(mono, chunk("data", 0, "\x00\x40\x00\xc0"+strings.Repeat("\x00\x00", 4))),
		"odd chunk before":            riff(chunk("LIST", 3, "abc\x00"), mono, chunk("odd ", 1, "x\x00"), chunk("data", 4, "\x00\x40\x00\xc0")),
		"chunk behind":                riff(mono, chunk("data", 4, "\x00\x40\x00\xc0"), chunk("LIST", 100, "cut")),
		"longer format":               riff(chunk("fmt ", 18, mono[8:]+"\x00\x00"), chunk("data", 4, "\x00\x40\x00\xc0")),
		"part of a sample at the end": riff(mono, chunk("data", 0xffffffff, "\x00\x40\x00\xc0\x01")),
	} {
		c, err := decode(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.Samples[0] != 0.5 || c.Samples[1] != -0.5 || name != "size 0 of a stream" && len(c.Samples) != 2 {
			t.Errorf("%s: %v", name, c.Samples)
		}
	}
}

// TestBadFiles: each says what is wrong, in one line.
func TestBadFiles(t *testing.T) {
	mono := format(1, 1, 8000, 2, 16)
	for text, want := range map[string]string{
		"":                                   "want a WAV, FLAC or MP3 file",
		"OggS and more than twelve":          "want a WAV, FLAC or MP3 file",
		chunk("RIFF", 0, "AVI "):             `of kind "AVI "`,
		riff():                               "ends before a chunk of samples",
		riff(mono):                           "ends before a chunk of samples",
		riff(mono, chunk("LIST", 99, "abc")): "ends before a chunk of samples",
		riff(chunk("data", 4, "\x00\x40\x00\xc0")):                                     "samples come before their format",
		riff(mono, chunk("data", 6, "\x00\x40\x00\xc0")):                               "cut off: its header says 6 bytes of samples, and 4 follow",
		riff(mono, chunk("data", 3, "\x00\x40\x00\xc0")):                               "no multiple of 2",
		riff(mono, chunk("data", 0, "")):                                               "holds no samples",
		riff(format(1, 1, 8000, 1, 8), chunk("data", 1001, strings.Repeat("a", 1001))): "at most 1000",
		riff(format(6, 1, 8000, 1, 8), chunk("data", 1, "a")):                          "format 6 with 8 bits",
		riff(format(1, 1, 8000, 2, 12), chunk("data", 2, "ab")):                        "format 1 with 12 bits",
		riff(format(1, 0, 8000, 0, 16), chunk("data", 2, "ab")):                        "0 channels",
		riff(format(1, 2, 8000, 2, 16), chunk("data", 2, "ab")):                        "are 4 bytes, and its format says 2",
		riff(format(3, 1, 8000, 4, 32), chunk("data", 4, "\x00\x00\xc0\x7f")):          "sample 0 is NaN",
		riff(chunk("fmt ", 8, "abcdefgh")):                                             "its format has 8 bytes",
	} {
		_, err := decode(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	var bad *checkpoint.Error
	for _, path := range []string{"missing.wav", t.TempDir(), "wav_test.go"} {
		if _, err := Read(path, Options{}); !errors.As(err, &bad) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestRoundTrip writes every kind and reads it again.
func TestRoundTrip(t *testing.T) {
	c := &Clip{Rate: 16000, Channels: 1, Samples: []float32{0, 0.25, -1, 0.5, 1.5}}
	for bits, step := range map[int]float64{16: 1 << 15, 24: 1 << 23, 32: 1 << 31, 0: math.Inf(1)} {
		path := filepath.Join(t.TempDir(), "x.wav")
		clipped, err := Write(path, c, bits)
		if err != nil {
			t.Fatal(err)
		}
		if data, _ := os.ReadFile(path); len(data)%2 != 0 || int(binary.LittleEndian.Uint32(data[4:])) != len(data)-8 {
			t.Errorf("%d bits: the file has %d bytes", bits, len(data))
		}
		got, err := Read(path, Options{})
		if err != nil || got.Rate != 16000 || got.Len() != 5 {
			t.Fatalf("%d bits: %v, %v", bits, got, err)
		}
		last := float32(1.5)
		if bits != 0 {
			last = float32(1 - 1/step)
		}
		if want := []float32{0, 0.25, -1, 0.5, last}; !slices.Equal(got.Samples, want) || clipped != min(1, bits) {
			t.Errorf("%d bits: %v, %d cut off", bits, got.Samples, clipped)
		}
	}
	if _, err := Write("x.mp3", c, 16); err == nil || !strings.Contains(err.Error(), `not as ".mp3"`) {
		t.Error(err)
	}
}

func TestChannels(t *testing.T) {
	c := &Clip{Rate: 2, Channels: 2, Samples: []float32{1, 0, 0.5, -0.5}}
	if m := c.Mono(); !slices.Equal(m.Samples, []float32{0.5, 0}) || m.Duration().Seconds() != 1 {
		t.Error(m)
	}
	if right := c.Channel(1); !slices.Equal(right, []float32{0, -0.5}) {
		t.Error(right)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(riff(format(1, 1, 8000, 2, 16), chunk("data", 4, "abcd"))))
	f.Add([]byte(riff(format(3, 2, 8000, 16, 64), chunk("data", 0xffffffff, strings.Repeat("a", 32)))))
	f.Add([]byte(chunk("RF64", 0xffffffff, "WAVE"+chunk("ds64", 28, strings.Repeat("\x01", 28)))))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(bytes.NewReader(data), int64(len(data)), Options{Samples: 1 << 16})
		if err == nil && (c.Rate < 1 || c.Channels < 1 || len(c.Samples)%c.Channels != 0) {
			t.Errorf("%v", c)
		}
	})
}
