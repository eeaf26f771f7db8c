package mp3_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/audio/mp3"
	"pipe.dev/executor/tensorfile"
)

var golden = filepath.Join("..", "..", "..", "testdata", "golden", "audio", "mp3")

func data(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(golden, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decode is all the samples of a file.
func decode(b []byte) (samples []float32, d *mp3.Reader, err error) {
	if d, err = mp3.NewReader(bytes.NewReader(b)); err != nil {
		return nil, nil, err
	}
	for {
		block, err := d.Next()
		if errors.Is(err, io.EOF) {
			return samples, d, nil
		}
		if err != nil {
			return samples, d, err
		}
		samples = append(samples, block...)
	}
}

// TestReader decodes what libsndfile does: files with all that a frame may have, and files
// by LAME, of every version and rate (testdata/golden/layer3.py). The standard calls a
// decoder accurate whose samples are 8.8e-6 off in the mean of squares.
func TestReader(t *testing.T) {
	values, err := tensorfile.Read(filepath.Join(golden, "values.npz"))
	if err != nil {
		t.Fatal(err)
	}
	worst, files := 0.0, 0
	for _, v := range values {
		if !strings.HasSuffix(v.Name, ".mp3") {
			continue
		}
		shape := values[slices.IndexFunc(values, func(s tensorfile.Tensor) bool { return s.Name == v.Name+".shape" })].Data
		samples, channels := int(binary.LittleEndian.Uint32(shape)), int(binary.LittleEndian.Uint32(shape[4:]))
		got, d, err := decode(data(t, v.Name))
		if err != nil || d.Channels() != channels || len(got) != samples*channels {
			t.Errorf("%s: %d samples, want %d of %d channels: %v", v.Name, len(got), samples, channels, err)
			continue
		}
		most, sum := 0.0, 0.0
		want := v.Float32s()
		for i, w := range want {
			e := math.Abs(float64(got[13*i] - w))
			most, sum = max(most, e), sum+e*e
		}
		if rms := math.Sqrt(sum / float64(len(want))); most > 5e-6 || rms > 1e-6 {
			t.Errorf("%s differs by %.2g, %.2g in the mean of squares", v.Name, most, rms)
		}
		worst = max(worst, most)
		files++
	}
	if files != 34 {
		t.Errorf("%d files, want 34", files)
	}
	t.Logf("%d files, at most %.2g off", files, worst)
}

// TestCount: frames are counted without being decoded, and files may come byte by byte.
func TestCount(t *testing.T) {
	for _, name := range []string{"44100_2.mp3", "8000_1.mp3", "free.mp3", "lame_22050.mp3"} {
		b := data(t, name)
		want, d, err := decode(b)
		if err != nil {
			t.Fatal(name, err)
		}
		c, err := mp3.NewReader(io.MultiReader(bytes.NewReader(b[:7]), bytes.NewReader(b[7:])))
		if err != nil {
			t.Fatal(name, err)
		}
		if n, err := c.Count(); err != nil || n*d.Channels() != len(want) {
			t.Errorf("%s has %d samples, %d are counted: %v", name, len(want)/d.Channels(), n, err)
		}
	}
}

// TestDamaged: what is damaged is refused in one line that says what and where.
func TestDamaged(t *testing.T) {
	mono, free, checked := data(t, "44100_1.mp3"), data(t, "free.mp3"), data(t, "checked.mp3")
	changed := func(b []byte, at int, to ...byte) []byte {
		b = slices.Clone(b)
		copy(b[at:], to)
		return b
	}
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"half a frame", "is cut off: it ends within frame 6", mono[:len(mono)-20]},
		{"another rate", "48000 Hz, and what was before 1 at 44100", slices.Concat(mono, data(t, "48000_1.mp3"))},
		{"another number of channels", "has 2 channels", slices.Concat(mono, data(t, "44100_2.mp3"))},
		{"layer I", "is a frame of layer 1, want layer III", changed(mono, 1, 0xff)},
		{"no rate", "without bit rate or sample rate", changed(mono, 2, 0x9c)},
		{"a free frame alone", "no other follows it within 8192 bytes", free[:300]},
		{"too many lines", "frame 1: says", changed(mono, 4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff)},
		{"no data for the lines that it has", "run over its end", changed(mono, 6, mono[6]&0xc0, mono[7]&3)},
		{"data that is not there", "says more data than there is", changed(mono, 6, mono[6]|0x3f, mono[7]|0xfc)},
		{"a side information that is not that of its checksum", "checksums are right and 1 are not", changed(checked, 7, checked[7]^1)},
	} {
		_, _, err := decode(c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	// an encoder that computes all of them wrongly is forgiven
	own := slices.Clone(checked)
	for at := 0; at+417 <= len(own); {
		own[at+4] ^= 1
		at += 417 + int(own[at+2]>>1&1)
	}
	if _, _, err := decode(own); err != nil {
		t.Error(err)
	}
}

// FuzzMP3: whatever is in a file, there are samples or an error.
func FuzzMP3(f *testing.F) {
	for _, name := range []string{"44100_placed.mp3", "22050_mixed.mp3", "checked.mp3", "free.mp3", "8000_1.mp3"} {
		b := data(f, name)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, d, err := decode(b)
		if d == nil {
			return
		}
		for _, v := range got {
			if v != v || math.Abs(float64(v)) > 1e12 {
				t.Fatalf("%v", v)
			}
		}
		if c, e := mp3.NewReader(bytes.NewReader(b)); e != nil {
			t.Error(e)
		} else if n, e := c.Count(); err == nil && (e != nil || n*d.Channels() != len(got)) {
			t.Errorf("%d samples, %d are counted: %v", len(got)/d.Channels(), n, e)
		}
	})
}

// BenchmarkReader decodes three tenths of a second of stereo, over and over.
func BenchmarkReader(b *testing.B) {
	file := data(b, "lame_44100.mp3")
	samples := 0
	for b.Loop() {
		got, _, err := decode(file)
		if err != nil {
			b.Fatal(err)
		}
		samples += len(got) / 2
	}
	b.ReportMetric(float64(samples)/44100/b.Elapsed().Seconds(), "s/s")
}
