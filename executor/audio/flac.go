package audio

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
)

// decodeFLAC reads a FLAC file. What its header says of the whole must be so: how many
// samples there are, and their MD5 sum. Samples are whole numbers divided by the
// greatest, as libsndfile has them.
//
// Source: RFC 9639.
func decodeFLAC(r io.Reader, _ int64, most int) (c *Clip, err error) {
	defer recovered("FLAC", &err)
	s, err := openFLAC(r, most)
	if err != nil {
		return nil, err
	}
	info := s.Info
	channels, bits := int(info.NChannels), int(info.BitsPerSample)
	c = &Clip{Rate: int(info.SampleRate), Channels: channels}
	sum, scale := md5.New(), 1/float64(int64(1)<<(bits-1))
	var block []byte
	for {
		f, err := s.ParseNext()
		if errors.Is(err, io.EOF) {
			break
		}
		at := len(c.Samples) / channels
		if err != nil {
			return nil, fmt.Errorf("is damaged after sample %d of %d: %w", at, info.NSamples, ended(err))
		}
		if err := matches(f, info.SampleRate, channels, bits); err != nil {
			return nil, fmt.Errorf("is damaged after sample %d of %d: %w", at, info.NSamples, err)
		}
		if len(c.Samples)+channels*int(f.BlockSize) > most {
			return nil, fmt.Errorf("holds more than the %d samples that are read at most", most)
		}
		block = block[:0]
		for t := range int(f.BlockSize) {
			for ch := range channels {
				v := f.Subframes[ch].Samples[t]
				c.Samples = append(c.Samples, float32(float64(v)*scale))
				for shift := 0; shift < bits; shift += 8 {
					block = append(block, byte(v>>shift))
				}
			}
		}
		sum.Write(block)
	}
	n := uint64(c.Len())
	switch {
	case info.NSamples != 0 && n != info.NSamples:
		return nil, fmt.Errorf("is cut off: its header says %d samples of each channel, and %d are there", info.NSamples, n)
	case n == 0:
		return nil, errors.New("holds no samples")
	case info.MD5sum != [16]byte{} && !bytes.Equal(sum.Sum(nil), info.MD5sum[:]):
		return nil, errors.New("is a damaged FLAC file: its samples are not those whose MD5 sum its header has")
	}
	return c, nil
}

// openFLAC reads the header.
func openFLAC(r io.Reader, most int) (*flac.Stream, error) {
	s, err := flac.New(r)
	if err != nil {
		return nil, fmt.Errorf("is a damaged FLAC file: its header can't be read: %w", ended(err))
	}
	info := s.Info
	if bits := info.BitsPerSample; info.SampleRate == 0 || bits < 4 || bits > 32 {
		return nil, fmt.Errorf("is a damaged FLAC file: it has %d bits at %d Hz", bits, info.SampleRate)
	}
	if n := info.NSamples * uint64(info.NChannels); n > uint64(most) {
		return nil, fmt.Errorf("holds %d samples; at most %d are read", n, most)
	}
	return s, nil
}

// probeFLAC says what the header has; where it does not say how much there is, all is decoded.
func probeFLAC(r io.Reader, size int64, most int) (i Info, err error) {
	defer recovered("FLAC", &err)
	var seen bytes.Buffer
	s, err := openFLAC(io.TeeReader(r, &seen), most)
	if err != nil {
		return i, err
	}
	if s.Info.NSamples > 0 {
		return Info{int(s.Info.SampleRate), int(s.Info.NChannels), int(s.Info.NSamples)}, nil
	}
	c, err := decodeFLAC(io.MultiReader(&seen, r), size, most)
	if err != nil {
		return i, err
	}
	return Info{c.Rate, c.Channels, c.Len()}, nil
}

// matches holds a frame against the header of the file; what it leaves out is as there.
func matches(f *frame.Frame, rate uint32, channels, bits int) error {
	switch {
	case f.Channels.Count() != channels:
		return fmt.Errorf("a frame has %d channels, and the header says %d", f.Channels.Count(), channels)
	case f.BitsPerSample != 0 && int(f.BitsPerSample) != bits:
		return fmt.Errorf("a frame has %d bits, and the header says %d", f.BitsPerSample, bits)
	case f.SampleRate != 0 && f.SampleRate != rate:
		return fmt.Errorf("a frame has %d Hz, and the header says %d", f.SampleRate, rate)
	}
	for _, s := range f.Subframes {
		if len(s.Samples) != int(f.BlockSize) {
			return fmt.Errorf("a frame has %d samples of a channel, and says %d", len(s.Samples), f.BlockSize)
		}
	}
	return nil
}

// ended says in words that a file ends too early.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends there")
	}
	return err
}

// recovered turns a panic of a decoder, which only a damaged file can cause, into an error.
func recovered(kind string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("is a damaged %s file: %v", kind, p)
	}
}
