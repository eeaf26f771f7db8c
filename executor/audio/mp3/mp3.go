// Package mp3 reads MP3 files: layer III of MPEG 1, MPEG 2 and MPEG 2.5, frame by
// frame, as float32 samples.
//
// Layers I and II are refused, and nothing is written. A file must be one stream of frames
// that follow each other: what is lost, damaged or cut off is an error, where players go on.
//
// Source: ISO/IEC 11172-3 and 13818-3; the LAME info tag, revision 1.
package mp3

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
)

// decoderDelay is how many samples a decoder of layer III is late.
const decoderDelay = 529

// Reader reads the samples of a file. What its encoder says that it has added before and
// behind is left out.
type Reader struct {
	s      stream
	state  decoder
	skip   int       // samples of each channel that come before the sound
	tail   int       // samples of each channel that come behind it
	block  []float32 // samples that were decoded and may belong to the tail, behind those handed out
	handed int       // of block
}

// NewReader reads tags and the first frame. Errors say what is wrong with the file.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{s: stream{r: bufio.NewReaderSize(r, 1<<15)}}
	if err := d.s.begin(); err != nil {
		return nil, err
	}
	if d.s.delay >= 0 {
		d.skip, d.tail = d.s.delay+decoderDelay, max(0, d.s.after-decoderDelay)
	}
	return d, nil
}

// Rate is how many samples there are a second of each channel, Hz.
func (d *Reader) Rate() int { return d.s.head.rate }

// Channels is 1 or 2.
func (d *Reader) Channels() int { return d.s.head.channels }

// Next decodes a frame or several and returns samples, those of one instant beside each
// other, from -1 to 1 and a little beyond. They are valid until it is called again. Its
// error at the end is io.EOF.
func (d *Reader) Next() ([]float32, error) {
	d.block = append(d.block[:0], d.block[d.handed:]...)
	d.handed = 0
	for {
		frame, err := d.s.next()
		if err != nil {
			return nil, err
		}
		at, n := len(d.block), d.s.at.samples()*d.Channels()
		d.block = slices.Grow(d.block, n)[:at+n]
		if err := d.state.decode(frame, &d.s.at, d.block[at:]); err != nil {
			return nil, fmt.Errorf("is a damaged MP3 file: frame %d: %w", d.s.frames, err)
		}
		if over := min(d.skip*d.Channels(), len(d.block)); over > 0 {
			d.skip -= over / d.Channels()
			d.block = append(d.block[:0], d.block[over:]...)
		}
		if n := len(d.block) - d.tail*d.Channels(); n > 0 {
			d.handed = n
			return d.block[:n], nil
		}
	}
}

// Count reads all the frames that are left, without decoding them, and returns how many
// samples of each channel Next would have had.
func (d *Reader) Count() (int, error) {
	before := d.s.frames
	for {
		_, err := d.s.next()
		if errors.Is(err, io.EOF) {
			all := (d.s.frames-before)*d.s.head.samples() - d.skip - d.tail
			return max(0, all), nil
		}
		if err != nil {
			return 0, err
		}
	}
}
