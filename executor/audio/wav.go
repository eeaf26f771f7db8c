package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The formats of samples in a WAV file (RFC 2361); extensible ones name theirs further on.
const (
	wavPCM        = 1
	wavFloat      = 3
	wavExtensible = 0xfffe
)

// unknownSize is what programs write that do not know yet how much will follow, and what
// RF64 puts where a size does not fit.
const unknownSize = math.MaxUint32

// subFormat is the end of the identifier of an extensible format; its first two
// bytes are the format (RFC 2361, MMREG.H).
var subFormat = []byte("\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71")

// wav reads the chunks of a WAV file.
type wav struct {
	r      io.Reader
	left   int64 // bytes of the file that follow
	format wavFormat
	ds64   int64 // size of the samples, by the chunk of RF64; 0 if there is none
}

// wavFormat is what the chunk "fmt " says.
type wavFormat struct {
	kind, channels int
	rate           int
	frame, bits    int // bytes of one instant, bits of a sample's container
}

// decodeWAV reads a WAV file.
//
// Source: Microsoft's Multimedia Programming Interface and Data Specifications
// 1.0; EBU Tech 3306 for RF64.
func decodeWAV(r io.Reader, size int64, most int) (*Clip, error) {
	w, n, err := openWAV(r, size, most)
	if err != nil {
		return nil, err
	}
	return w.samples(n)
}

// probeWAV says what the samples are.
func probeWAV(r io.Reader, size int64, most int) (Info, error) {
	w, n, err := openWAV(r, size, most)
	if err != nil {
		return Info{}, err
	}
	return Info{w.format.rate, w.format.channels, int(n / int64(w.format.frame))}, nil
}

// openWAV reads up to the samples, and gives how many bytes they are.
func openWAV(r io.Reader, left int64, most int) (*wav, int64, error) {
	w := &wav{r: r, left: left}
	var begin [12]byte // "RIFF size WAVE"
	if err := w.read(begin[:]); err != nil {
		return nil, 0, err
	}
	for {
		var head [8]byte
		if err := w.read(head[:]); err != nil {
			return nil, 0, w.early("a chunk of samples", err)
		}
		id, size := string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))
		var err error
		switch id {
		case "fmt ":
			err = w.readFormat(size)
		case "ds64":
			err = w.readSizes(size)
		case "data":
			size, err = w.extent(size, most)
			return w, size, err
		default:
			err = w.skip(size + size&1)
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// early says that the file ends before something that must be there.
func (w *wav) early(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("is a damaged WAV file: it ends before %s", what)
	}
	return err
}

func (w *wav) read(b []byte) error {
	n, err := io.ReadFull(w.r, b)
	w.left -= int64(n)
	return err
}

func (w *wav) skip(n int64) error {
	if n > w.left {
		return w.early("a chunk of samples", io.EOF)
	}
	k, err := io.CopyN(io.Discard, w.r, n)
	w.left -= k
	return err
}

// readFormat reads the chunk "fmt ".
func (w *wav) readFormat(size int64) error {
	if size < 16 || size > 1<<16 {
		return fmt.Errorf("is a damaged WAV file: its format has %d bytes, want 16 to 65536", size)
	}
	data := make([]byte, size+size&1)
	if err := w.read(data); err != nil {
		return w.early("the end of its format", err)
	}
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(data[at:])) }
	f := wavFormat{kind: u16(0), channels: u16(2), rate: int(binary.LittleEndian.Uint32(data[4:])), frame: u16(12), bits: u16(14)}
	if f.kind == wavExtensible {
		if size < 40 || !bytes.Equal(data[26:40], subFormat) {
			return errors.New("is a WAV file of an extensible format that is neither PCM nor floats")
		}
		f.kind = u16(24)
	}
	w.format = f
	return f.check()
}

// check proves that samples of the format can be read.
func (f wavFormat) check() error {
	known := f.kind == wavPCM && (f.bits == 8 || f.bits == 16 || f.bits == 24 || f.bits == 32) ||
		f.kind == wavFloat && (f.bits == 32 || f.bits == 64)
	switch {
	case !known:
		return fmt.Errorf("is a WAV file of format %d with %d bits; want PCM of 8, 16, 24 or 32 bits, or floats of 32 or 64", f.kind, f.bits)
	case f.channels < 1 || f.rate < 1:
		return fmt.Errorf("is a damaged WAV file: it has %d channels at %d Hz", f.channels, f.rate)
	case f.frame != f.channels*f.bits/8:
		return fmt.Errorf("is a damaged WAV file: %d channels of %d bits are %d bytes, and its format says %d", f.channels, f.bits, f.channels*f.bits/8, f.frame)
	}
	return nil
}

// readSizes reads the chunk "ds64", which has sizes of 64 bits.
func (w *wav) readSizes(size int64) error {
	if size < 24 || size > 1<<20 {
		return fmt.Errorf("is a damaged RF64 file: its sizes have %d bytes", size)
	}
	data := make([]byte, size+size&1)
	if err := w.read(data); err != nil {
		return w.early("the end of its sizes", err)
	}
	w.ds64 = int64(binary.LittleEndian.Uint64(data[8:]))
	if w.ds64 < 0 {
		return errors.New("is a damaged RF64 file: the size of its samples is no number of bytes")
	}
	return nil
}

// extent is how many bytes of samples there are. A size that is not known is what is
// left of the file.
func (w *wav) extent(size int64, most int) (int64, error) {
	f := w.format
	if f.kind == 0 {
		return 0, errors.New("is a damaged WAV file: its samples come before their format")
	}
	if size == unknownSize && w.ds64 > 0 {
		size = w.ds64
	}
	if open := size == unknownSize || size == 0 && w.left > 8; open {
		size = w.left - w.left%int64(f.frame)
	}
	switch {
	case size > w.left:
		return 0, fmt.Errorf("is cut off: its header says %d bytes of samples, and %d follow", size, w.left)
	case size%int64(f.frame) != 0:
		return 0, fmt.Errorf("is a damaged WAV file: %d bytes of samples are no multiple of %d, the bytes of an instant", size, f.frame)
	case size == 0:
		return 0, errors.New("holds no samples")
	case size/int64(f.bits/8) > int64(most):
		return 0, fmt.Errorf("holds %d samples; at most %d are read", size/int64(f.bits/8), most)
	}
	return size, nil
}

// samples reads the chunk "data".
func (w *wav) samples(size int64) (*Clip, error) {
	f := w.format
	c := &Clip{Rate: f.rate, Channels: f.channels, Samples: make([]float32, size/int64(f.bits/8))}
	block := make([]byte, min(size, int64(f.frame)<<12))
	for done := 0; done < len(c.Samples); {
		part := block[:min(len(block), (len(c.Samples)-done)*f.bits/8)]
		if err := w.read(part); err != nil {
			return nil, w.early("the end of its samples", err)
		}
		done += f.decode(c.Samples[done:], part)
	}
	for i, v := range c.Samples {
		if v-v != 0 {
			return nil, fmt.Errorf("sample %d is %v", i, v)
		}
	}
	return c, nil
}

// decode turns bytes into samples and returns how many.
func (f wavFormat) decode(dst []float32, src []byte) int {
	step := f.bits / 8
	n := len(src) / step
	le := binary.LittleEndian
	for i := range n {
		b := src[i*step:]
		switch {
		case f.kind == wavFloat && f.bits == 32:
			dst[i] = math.Float32frombits(le.Uint32(b))
		case f.kind == wavFloat:
			dst[i] = float32(math.Float64frombits(le.Uint64(b)))
		case f.bits == 8:
			dst[i] = (float32(b[0]) - 128) / 128
		case f.bits == 16:
			dst[i] = float32(int16(le.Uint16(b))) / (1 << 15)
		case f.bits == 24:
			dst[i] = float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8) / (1 << 23)
		default:
			dst[i] = float32(float64(int32(le.Uint32(b))) / (1 << 31))
		}
	}
	return n
}
