package mp3

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// largestFree is the longest frame without a bit rate that is looked for, bytes.
const largestFree = 1 << 13

// stream reads the frames of a file, proven to follow each other, without tags.
type stream struct {
	r      *bufio.Reader
	head   header // of the first frame
	at     header // of the last frame that was given
	free   int    // bytes of a frame without a bit rate, without padding
	frames int    // that were given, with sound in them
	read   int64  // bytes
	buffer []byte // of a frame
	held   bool   // it holds the first frame, not given yet
	said   int    // frames by the tag of the encoder, -1 if it does not say
	delay  int    // samples that it added before; -1 if it does not say
	after  int    // and behind
	sums   [2]int // frames whose checksum is another, and is right
}

// begin skips tags in front, reads the first frame, and what its encoder says of the file.
func (s *stream) begin() error {
	s.said, s.delay = -1, -1
	for {
		b, err := s.r.Peek(10)
		if err != nil || string(b[:3]) != "ID3" {
			break
		}
		size := int(b[6]&127)<<21 | int(b[7]&127)<<14 | int(b[8]&127)<<7 | int(b[9]&127)
		if b[5]&16 != 0 {
			size += 10
		}
		n, err := io.CopyN(io.Discard, s.r, int64(size)+10)
		if s.read += n; err != nil {
			return errors.New("is a damaged MP3 file: it ends within its tag")
		}
	}
	frame, err := s.frame()
	if errors.Is(err, io.EOF) {
		return errors.New("holds no samples")
	}
	if err != nil {
		return err
	}
	s.held = !s.info(frame)
	return nil
}

// next reads a frame with sound in it, which is valid until the next; io.EOF at the end.
func (s *stream) next() ([]byte, error) {
	frame, err := s.buffer, error(nil)
	if !s.held {
		frame, err = s.frame()
	}
	s.held = false
	if errors.Is(err, io.EOF) && s.said > s.frames {
		return nil, fmt.Errorf("is cut off: its header says %d frames, and %d are there", s.said, s.frames)
	}
	if err != nil {
		return nil, err
	}
	s.frames++
	return frame, s.proven(frame)
}

// proven holds a frame against its checksum. Encoders are known that have computed it
// wrongly: one that never fits is theirs, and one that fits elsewhere tells of damage.
func (s *stream) proven(frame []byte) error {
	if !s.at.checked {
		return nil
	}
	fits := 0
	if binary.BigEndian.Uint16(frame[4:]) == s.at.checksum(frame) {
		fits = 1
	}
	if s.sums[fits]++; s.sums[0] > 0 && s.sums[1] > 0 {
		return fmt.Errorf("is a damaged MP3 file: up to frame %d, %d checksums are right and %d are not", s.frames, s.sums[1], s.sums[0])
	}
	return nil
}

// frame reads what follows; io.EOF where no frame does.
func (s *stream) frame() ([]byte, error) {
	b, err := s.r.Peek(4)
	switch {
	case len(b) == 0 && errors.Is(err, io.EOF):
		return nil, io.EOF
	case len(b) >= 3 && (string(b[:3]) == "TAG" || len(b) == 4 && (string(b) == "APET" || string(b) == "LYRI")):
		return nil, io.EOF
	case len(bytes.Trim(b, "\x00")) == 0 && s.frames > 0: // filled up
		return nil, io.EOF
	case err != nil:
		return nil, s.cut(err)
	}
	if s.at, err = parseHeader(b); err != nil {
		return nil, fmt.Errorf("is a damaged MP3 file: what follows byte %d %w", s.read, err)
	}
	if s.head.rate == 0 {
		s.head = s.at
	}
	if h := s.at; !h.like(&s.head) {
		return nil, fmt.Errorf("is a damaged MP3 file: what follows byte %d has %d channels at %d Hz, and what was before %d at %d",
			s.read, h.channels, h.rate, s.head.channels, s.head.rate)
	}
	if s.at.size == 0 {
		if err := s.measure(); err != nil {
			return nil, err
		}
	}
	if cap(s.buffer) < s.at.size {
		s.buffer = make([]byte, s.at.size)
	}
	s.buffer = s.buffer[:s.at.size]
	n, err := io.ReadFull(s.r, s.buffer)
	if err != nil {
		return nil, s.cut(err)
	}
	s.read += int64(n)
	return s.buffer, nil
}

// measure finds the size of a frame whose header says no bit rate.
func (s *stream) measure() error {
	if s.free == 0 {
		ahead, err := s.r.Peek(2*largestFree + 5)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if s.free = freeSize(&s.at, ahead); s.free == 0 {
			return fmt.Errorf("is a damaged MP3 file: what follows byte %d is a frame without bit rate, and no other follows it within %d bytes", s.read, largestFree)
		}
	}
	s.at.size = s.free + s.at.padding
	return nil
}

// cut says that the file ends within a frame.
func (s *stream) cut(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if s.said >= 0 {
		return fmt.Errorf("is cut off: its header says %d frames, and it ends within frame %d", s.said, s.frames+1)
	}
	return fmt.Errorf("is cut off: it ends within frame %d", s.frames+1)
}

// info reads the tag that stands in the first frame instead of sound; false if there is none.
func (s *stream) info(frame []byte) bool {
	if at := 4 + 32; len(frame) > at+26 && string(frame[at:at+4]) == "VBRI" {
		s.said = int(binary.BigEndian.Uint32(frame[at+14:]))
		return true
	}
	for _, at := range []int{4 + s.at.side, s.at.start() + s.at.side} {
		if len(frame) < at+8 {
			return false
		}
		if kind := string(frame[at : at+4]); kind == "Xing" || kind == "Info" {
			s.tag(binary.BigEndian.Uint32(frame[at+4:]), frame[at+8:])
			return true
		}
	}
	return false
}

// tag reads the fields of the tag "Xing" or "Info" that flags name.
func (s *stream) tag(flags uint32, tag []byte) {
	for _, field := range []struct {
		bit  uint32
		size int
	}{{1, 4}, {2, 4}, {4, 100}, {8, 4}} {
		if flags&field.bit == 0 {
			continue
		}
		if len(tag) < field.size {
			return
		}
		if field.bit == 1 {
			s.said = int(binary.BigEndian.Uint32(tag))
		}
		tag = tag[field.size:]
	}
	if len(tag) >= 24 && tag[0] != 0 { // the encoder's name, and what it added
		s.delay = int(tag[21])<<4 | int(tag[22])>>4
		s.after = int(tag[22]&15)<<8 | int(tag[23])
	}
}
