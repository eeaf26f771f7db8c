package audio

import (
	"bytes"
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

var packed = filepath.Join("..", "..", "testdata", "golden", "audio", "packed")

// TestPacked reads FLAC bit for bit as libsndfile does, and MP3 within 5e-6
// (testdata/golden/packed.py).
func TestPacked(t *testing.T) {
	values, err := tensorfile.Read(filepath.Join(packed, "values.npz"))
	if err != nil || len(values) != 16 {
		t.Fatal(err, len(values))
	}
	for _, v := range values {
		c, err := Read(filepath.Join(packed, v.Name), Options{})
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		data, err := os.ReadFile(filepath.Join(packed, v.Name))
		if err != nil {
			t.Fatal(err)
		}
		if i, err := Probe(bytes.NewReader(data), int64(len(data)), Options{}); err != nil || i != (Info{c.Rate, c.Channels, c.Len()}) {
			t.Errorf("%s: %v, %v", v.Name, i, err)
		}
		want := v.Float32s()
		if s := v.Type.Sizes(); c.Len() != s[0] || c.Channels != s[1] {
			t.Errorf("%s has %d samples of %d channels, want %v", v.Name, c.Len(), c.Channels, s)
			continue
		}
		if strings.HasSuffix(v.Name, ".flac") {
			if !slices.Equal(c.Samples, want) {
				t.Errorf("%s: samples differ", v.Name)
			}
			continue
		}
		d := 0.0
		for i, x := range c.Samples {
			d = max(d, math.Abs(float64(x-want[i])))
		}
		if d > 5e-6 {
			t.Errorf("%s differs by %v", v.Name, d)
		}
	}
}

// TestPackedDamaged: files that are cut off, or changed, are refused in one line.
func TestPackedDamaged(t *testing.T) {
	whole := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(packed, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	flac, mp3 := whole("pcm_16_2.flac"), whole("44100_2_constant.mp3")
	changed := func(data []byte, at int, by byte) []byte {
		data = slices.Clone(data)
		data[at] ^= by
		return data
	}
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"half a FLAC file", "of 2001: the file ends there", flac[:len(flac)/2]},
		{"a FLAC header alone", "FLAC file: its header can't be read: the file ends there", flac[:30]},
		{"a changed sample", "damaged after sample", changed(flac, len(flac)-50, 1)},
		{"another sum", "MD5", changed(flac, 8+20, 1)},
		{"more samples", "header says", changed(flac, 8+17, 1)},
		{"too many", "at most 1000", nil},
		{"half an MP3 file", "is cut off: its header says", mp3[:len(mp3)/2]},
		{"no frame", "is no frame", append(slices.Clone(mp3), "garbage"...)},
		{"a tag alone", "ends within its tag", []byte("ID3\x04\x00\x00\x00\x00\x7f\x7f and little")},
		{"a tag of the encoder alone", "its header says 6 frames, and 0 are there", mp3[:731]},
		{"layer II", "layer 2", append([]byte{0xff, 0xfd, 0x50, 0}, make([]byte, 40)...)},
	} {
		o := Options{}
		if c.data == nil {
			c.data, o.Samples = flac, 1000
		}
		_, err := Decode(bytes.NewReader(c.data), int64(len(c.data)), o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	var named *checkpoint.Error
	path := filepath.Join(t.TempDir(), "x.mp3")
	if err := os.WriteFile(path, mp3[:600], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, Options{}); !errors.As(err, &named) {
		t.Error(err)
	}
}

// FuzzPacked: whatever is in a file, there is sound or an error.
func FuzzPacked(f *testing.F) {
	for _, name := range []string{"six.flac", "quiet.flac", "16000_1_constant.mp3"} {
		data, err := os.ReadFile(filepath.Join(packed, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/3])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(bytes.NewReader(data), int64(len(data)), Options{Samples: 1 << 16})
		if err == nil && (c.Rate < 1 || c.Channels < 1 || len(c.Samples) == 0 || len(c.Samples)%c.Channels != 0 || len(c.Samples) > 1<<16) {
			t.Errorf("%v", c)
		}
	})
}
