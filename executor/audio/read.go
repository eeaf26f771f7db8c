package audio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"pipe.dev/executor/checkpoint"
)

// Options say how much is read. The zero value reads up to MaxSamples.
type Options struct {
	Samples int // how many there may be at most, of all channels together; 0 means MaxSamples
}

// MaxSamples is the default limit of what is decoded: 1 GiB of samples, an hour and a
// half of stereo at 48 kHz.
const MaxSamples = 1 << 28

// Read reads the sound in a file. Its kind is found in the file, whatever its
// name: RIFF, RF64 and BW64 waves, FLAC, MP3. Every error is a *checkpoint.Error.
func Read(path string, o Options) (*Clip, error) {
	c, err := read(path, o)
	if err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	return c, nil
}

func read(path string, o Options) (*Clip, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	case info.Size() == 0:
		return nil, errors.New("is empty")
	}
	return Decode(bufio.NewReaderSize(f, 1<<16), info.Size(), o)
}

// Decode reads the sound in r, which holds size bytes, as Read does.
func Decode(r io.Reader, size int64, o Options) (*Clip, error) {
	if o.Samples <= 0 {
		o.Samples = MaxSamples
	}
	var magic [12]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return nil, errors.New("is no sound: want a WAV, FLAC or MP3 file")
	}
	switch string(magic[:4]) {
	case "RIFF", "RF64", "BW64":
		if string(magic[8:]) == "WAVE" {
			return decodeWAV(r, size-12, o.Samples)
		}
		return nil, fmt.Errorf("is a RIFF file of kind %q, want WAVE", magic[8:])
	}
	whole := io.MultiReader(bytes.NewReader(magic[:]), r)
	switch {
	case string(magic[:4]) == "fLaC":
		return decodeFLAC(whole, o.Samples)
	case string(magic[:3]) == "ID3" || magic[0] == 0xff && magic[1]&0xe0 == 0xe0:
		return decodeMP3(whole, o.Samples)
	}
	return nil, errors.New("is no sound: want a WAV, FLAC or MP3 file")
}
