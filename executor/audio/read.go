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
	k, whole, err := sniff(r, size)
	if err != nil {
		return nil, err
	}
	return k.decode(whole, size, o.most())
}

// Info is what a file says of the sound in it.
type Info struct {
	Rate, Channels int
	Len            int // samples of each channel
}

// Probe finds out what r, which holds size bytes, has, without decoding it where the
// file says how much that is.
func Probe(r io.Reader, size int64, o Options) (Info, error) {
	k, whole, err := sniff(r, size)
	if err != nil {
		return Info{}, err
	}
	return k.probe(whole, size, o.most())
}

func (o Options) most() int {
	if o.Samples <= 0 {
		return MaxSamples
	}
	return o.Samples
}

// kind is a format of files. Its readers get all of a file.
type kind struct {
	decode func(r io.Reader, size int64, most int) (*Clip, error)
	probe  func(r io.Reader, size int64, most int) (Info, error)
}

// sniff finds the kind of a file by how it begins.
func sniff(r io.Reader, size int64) (k kind, whole io.Reader, err error) {
	var magic [12]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return k, nil, errors.New("is no sound: want a WAV, FLAC or MP3 file")
	}
	whole = io.MultiReader(bytes.NewReader(magic[:]), r)
	switch begin := string(magic[:4]); {
	case begin == "RIFF" || begin == "RF64" || begin == "BW64":
		if string(magic[8:]) != "WAVE" {
			return k, nil, fmt.Errorf("is a RIFF file of kind %q, want WAVE", magic[8:])
		}
		return kind{decodeWAV, probeWAV}, whole, nil
	case begin == "fLaC":
		return kind{decodeFLAC, probeFLAC}, whole, nil
	case begin[:3] == "ID3" || magic[0] == 0xff && magic[1]&0xe0 == 0xe0:
		return kind{decodeMP3, probeMP3}, whole, nil
	}
	return k, nil, errors.New("is no sound: want a WAV, FLAC or MP3 file")
}
