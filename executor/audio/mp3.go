package audio

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	mp3 "github.com/hajimehoshi/go-mp3"
)

// decoderDelay is how many samples a decoder of layer III is late.
const decoderDelay = 529

// decodeMP3 reads an MP3 file: MPEG 1 and 2, layer III. What an encoder says it has
// added before and behind is left out.
//
// Source: ISO/IEC 11172-3 and 13818-3; the LAME info tag, revision 1.
func decodeMP3(r io.Reader, _ int64, most int) (c *Clip, err error) {
	defer recovered("MP3", &err)
	w := &mp3Frames{r: bufio.NewReaderSize(r, 1<<14), most: most}
	if err := w.begin(); err != nil {
		return nil, err
	}
	d, err := mp3.NewDecoder(w)
	if w.fault != nil {
		return nil, w.fault
	}
	if err != nil {
		return nil, fmt.Errorf("is a damaged MP3 file: %w", ended(err))
	}
	c = &Clip{Rate: w.head.rate, Channels: w.head.channels}
	block := make([]byte, 4*1152)
	for {
		n, err := io.ReadFull(d, block)
		for t := range n / 4 {
			for ch := range c.Channels {
				c.Samples = append(c.Samples, float32(int16(binary.LittleEndian.Uint16(block[4*t+2*ch:])))/(1<<15))
			}
		}
		if w.fault != nil {
			return nil, w.fault
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("is a damaged MP3 file: frame %d: %w", w.frames, err)
		}
	}
	if want := w.frames * w.head.samples; c.Len() != want {
		return nil, fmt.Errorf("is a damaged MP3 file: its %d frames have %d samples, and %d could be decoded", w.frames, want, c.Len())
	}
	from, to, err := w.sound()
	if err != nil {
		return nil, err
	}
	c.Samples = c.Samples[from*c.Channels : to*c.Channels]
	return c, nil
}

// probeMP3 counts the frames.
func probeMP3(r io.Reader, _ int64, most int) (Info, error) {
	w := &mp3Frames{r: bufio.NewReaderSize(r, 1<<14), most: most}
	if err := w.begin(); err != nil {
		return Info{}, err
	}
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{w}); err != nil {
		return Info{}, err
	}
	if w.fault != nil {
		return Info{}, w.fault
	}
	from, to, err := w.sound()
	return Info{w.head.rate, w.head.channels, to - from}, err
}

// mp3Head is what the header of a frame says.
type mp3Head struct {
	version  int // 1 or 2
	rate     int
	channels int
	samples  int // of each channel
	size     int // bytes, with the header
	side     int // bytes of the side information
}

// mp3Frames reads the frames of a file, proven to follow each other, without tags.
type mp3Frames struct {
	r      *bufio.Reader
	head   mp3Head // of the first
	frames int     // that were given, with sound in them
	most   int
	at     int64  // bytes that were read
	next   []byte // of a frame, not given yet
	said   int    // frames by the tag of the encoder, -1 if it does not say
	delay  int    // samples that it added before; -1 if it does not say
	after  int    // and behind
	fault  error
}

// errUneven: the decoder takes such frames to be a byte shorter, and would give noise.
var errUneven = errors.New("is a frame of MPEG 2 at 22050 Hz with a byte of padding, which is not read: write it as WAV, FLAC or at another rate")

// head3 reads the header of a frame.
func head3(b []byte) (h mp3Head, err error) {
	version, layer := b[1]>>3&3, b[1]>>1&3
	switch {
	case b[0] != 0xff || b[1]&0xe0 != 0xe0 || version == 1:
		return h, errors.New("is no frame")
	case version == 0:
		return h, errors.New("is a frame of MPEG 2.5, which is not read")
	case layer != 1:
		return h, fmt.Errorf("is a frame of layer %d, want layer III", 4-layer)
	}
	rates := [3]int{44100, 48000, 32000}
	kbits := [15]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}
	h = mp3Head{version: 1, samples: 1152, channels: 2, side: 32}
	slot := 144
	if version == 2 {
		rates, slot = [3]int{22050, 24000, 16000}, 72
		kbits = [15]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}
		h = mp3Head{version: 2, samples: 576, channels: 2, side: 17}
	}
	if b[3]>>6 == 3 {
		h.channels, h.side = 1, h.side/2+1 // 17, 9
	}
	bitrate, rate := int(b[2]>>4), int(b[2]>>2&3)
	if bitrate == 0 || bitrate == 15 || rate == 3 {
		return h, errors.New("is a frame without bit rate or sample rate")
	}
	h.rate = rates[rate]
	h.size = slot*1000*kbits[bitrate]/h.rate + int(b[2]>>1&1)
	if (slot*1000*kbits[bitrate]*2/h.rate+int(b[2]>>1&1))/2 != h.size && version == 2 {
		return h, errUneven
	}
	return h, nil
}

// begin skips tags in front, reads the first frame, and what its encoder says of the file.
func (w *mp3Frames) begin() error {
	w.said, w.delay = -1, -1
	for {
		b, err := w.r.Peek(10)
		if err != nil || string(b[:3]) != "ID3" {
			break
		}
		size := int(b[6]&127)<<21 | int(b[7]&127)<<14 | int(b[8]&127)<<7 | int(b[9]&127)
		if b[5]&16 != 0 {
			size += 10
		}
		n, err := io.CopyN(io.Discard, w.r, int64(size)+10)
		if w.at += n; err != nil {
			return errors.New("is a damaged MP3 file: it ends within its tag")
		}
	}
	frame, err := w.frame()
	if err != nil {
		return err
	}
	if frame == nil {
		return errors.New("holds no samples")
	}
	if !w.info(frame) {
		w.next, w.frames = frame, 1
	}
	return nil
}

// info reads the tag that stands in the first frame instead of sound; false if there is none.
func (w *mp3Frames) info(frame []byte) bool {
	if at := 4 + 32; len(frame) > at+26 && string(frame[at:at+4]) == "VBRI" {
		w.said = int(binary.BigEndian.Uint32(frame[at+14:]))
		return true
	}
	at := 4 + w.head.side
	if len(frame) < at+8 {
		return false
	}
	if kind := string(frame[at : at+4]); kind != "Xing" && kind != "Info" {
		return false
	}
	flags := binary.BigEndian.Uint32(frame[at+4:])
	tag := frame[at+8:]
	for _, field := range []struct {
		bit  uint32
		size int
	}{{1, 4}, {2, 4}, {4, 100}, {8, 4}} {
		if flags&field.bit == 0 {
			continue
		}
		if len(tag) < field.size {
			return true
		}
		if field.bit == 1 {
			w.said = int(binary.BigEndian.Uint32(tag))
		}
		tag = tag[field.size:]
	}
	if len(tag) >= 24 && tag[0] != 0 { // the encoder's name, and what it added
		w.delay = int(tag[21])<<4 | int(tag[22])>>4
		w.after = int(tag[22]&15)<<8 | int(tag[23])
	}
	return true
}

// frame reads the next frame; nil at the end.
func (w *mp3Frames) frame() ([]byte, error) {
	b, err := w.r.Peek(4)
	switch {
	case len(b) == 0 && errors.Is(err, io.EOF):
		return nil, nil
	case len(b) >= 3 && (string(b[:3]) == "TAG" || len(b) == 4 && (string(b) == "APET" || string(b) == "LYRI")):
		return nil, nil
	case len(bytes.Trim(b, "\x00")) == 0 && w.frames > 0: // filled up
		return nil, nil
	case err != nil:
		return nil, w.cut(err)
	}
	h, err := head3(b)
	if err != nil {
		kind := "is a damaged MP3 file: "
		if errors.Is(err, errUneven) {
			kind = ""
		}
		return nil, fmt.Errorf("%swhat follows byte %d %w", kind, w.at, err)
	}
	if w.head.rate == 0 {
		w.head = h
	}
	if h.version != w.head.version || h.rate != w.head.rate || h.channels != w.head.channels {
		return nil, fmt.Errorf("is a damaged MP3 file: what follows byte %d has %d channels at %d Hz, and what was before %d at %d", w.at, h.channels, h.rate, w.head.channels, w.head.rate)
	}
	frame := make([]byte, h.size)
	n, err := io.ReadFull(w.r, frame)
	if err != nil {
		return nil, w.cut(err)
	}
	w.at += int64(n)
	return frame, nil
}

// cut says that the file ends within a frame.
func (w *mp3Frames) cut(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if w.said >= 0 {
		return fmt.Errorf("is cut off: its header says %d frames, and it ends within frame %d", w.said, w.frames+1)
	}
	return fmt.Errorf("is cut off: it ends within frame %d", w.frames+1)
}

// Read gives the bytes of frames.
func (w *mp3Frames) Read(to []byte) (int, error) {
	if len(w.next) == 0 {
		frame, err := w.frame()
		switch {
		case err != nil:
			w.fault = err
		case frame == nil && w.said > w.frames:
			w.fault = fmt.Errorf("is cut off: its header says %d frames, and %d are there", w.said, w.frames)
		case frame != nil && (w.frames+1)*w.head.samples*w.head.channels > w.most:
			w.fault = fmt.Errorf("holds more than the %d samples that are read at most", w.most)
		}
		if w.fault != nil || frame == nil {
			return 0, io.EOF
		}
		w.next = frame
		w.frames++
	}
	n := copy(to, w.next)
	w.next = w.next[n:]
	return n, nil
}

// sound is where the sound lies in what the frames hold, without what the encoder added.
func (w *mp3Frames) sound() (from, to int, err error) {
	if to = w.frames * w.head.samples; w.delay >= 0 {
		from, to = w.delay+decoderDelay, to-max(0, w.after-decoderDelay)
	}
	if from >= to {
		return 0, 0, errors.New("holds no samples")
	}
	return from, to, nil
}
