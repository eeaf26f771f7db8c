package audio

import (
	"errors"
	"fmt"
	"io"

	"pipe.dev/executor/audio/mp3"
)

// decodeMP3 reads an MP3 file.
func decodeMP3(r io.Reader, _ int64, most int) (*Clip, error) {
	d, err := mp3.NewReader(r)
	if err != nil {
		return nil, err
	}
	c := &Clip{Rate: d.Rate(), Channels: d.Channels()}
	for {
		block, err := d.Next()
		switch {
		case errors.Is(err, io.EOF) && len(c.Samples) == 0:
			return nil, errors.New("holds no samples")
		case errors.Is(err, io.EOF):
			return c, nil
		case err != nil:
			return nil, err
		case len(c.Samples)+len(block) > most:
			return nil, fmt.Errorf("holds more than the %d samples that are read at most", most)
		}
		c.Samples = append(c.Samples, block...)
	}
}

// probeMP3 counts the frames.
func probeMP3(r io.Reader, _ int64, most int) (Info, error) {
	d, err := mp3.NewReader(r)
	if err != nil {
		return Info{}, err
	}
	n, err := d.Count()
	switch {
	case err != nil:
		return Info{}, err
	case n == 0:
		return Info{}, errors.New("holds no samples")
	case n*d.Channels() > most:
		return Info{}, fmt.Errorf("holds more than the %d samples that are read at most", most)
	}
	return Info{d.Rate(), d.Channels(), n}, nil
}
