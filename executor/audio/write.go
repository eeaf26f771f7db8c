package audio

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// Writes reports whether sound can be written to a file of this name, and why not.
func Writes(path string) error {
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".wav" {
		return fmt.Errorf("is written as .wav, not as %q", ext)
	}
	return nil
}

// Write writes a clip to a WAV file: whole, or not at all. bits is 16, 24 or 32 for PCM,
// and 0 for floats. PCM cuts off what is beyond -1 and 1, and returns how many
// samples that were. Every error is a *checkpoint.Error.
func Write(path string, c *Clip, bits int) (clipped int, err error) {
	if err := Writes(path); err != nil {
		return 0, checkpoint.FileError(path, err)
	}
	err = checkpoint.Replace(path, func(w io.Writer) error {
		clipped, err = encodeWAV(w, c, bits)
		return err
	})
	return clipped, err
}

func encodeWAV(w io.Writer, c *Clip, bits int) (clipped int, err error) {
	out, err := NewWriter(w, c.Rate, c.Channels, bits, int64(len(c.Samples)))
	if err != nil {
		return 0, err
	}
	for part := range slices.Chunk(c.Samples, 1<<14) {
		if err := out.Write(part); err != nil {
			return out.Clipped, err
		}
	}
	return out.Clipped, out.Close()
}

// Unknown is how many samples a Writer gets that is not told.
const Unknown = -1

// Writer writes a WAV file while its samples are made.
type Writer struct {
	Clipped int // samples of PCM that were beyond -1 and 1, and are cut off

	w        io.Writer
	bits     int
	samples  int64 // that were announced, or Unknown
	written  int64
	channels int
	rate     int
	block    []byte
}

// NewWriter writes the head of a file: of so many samples of all channels together, or of Unknown ones, for which it
// has the greatest size there is, as other programs that write to pipes do. bits is as of Write.
func NewWriter(w io.Writer, rate, channels, bits int, samples int64) (*Writer, error) {
	kind, width := wavPCM, bits/8
	if bits == 0 {
		kind, width = wavFloat, 4
	}
	size := samples * int64(width)
	if size > math.MaxUint32-64 {
		return nil, fmt.Errorf("holds %d bytes of samples; a WAV file may have 4 GiB", size)
	}
	whole, data := uint32(36+size+size&1), uint32(size)
	if samples == Unknown {
		whole, data = unknownSize, unknownSize
	}
	var head []byte
	le := binary.LittleEndian
	head = append(head, "RIFF"...)
	head = le.AppendUint32(head, whole)
	head = append(head, "WAVEfmt "...)
	head = le.AppendUint32(head, 16)
	head = le.AppendUint16(head, uint16(kind))
	head = le.AppendUint16(head, uint16(channels))
	head = le.AppendUint32(head, uint32(rate))
	head = le.AppendUint32(head, uint32(rate*channels*width))
	head = le.AppendUint16(head, uint16(channels*width))
	head = le.AppendUint16(head, uint16(8*width))
	head = append(head, "data"...)
	head = le.AppendUint32(head, data)
	_, err := w.Write(head)
	return &Writer{w: w, bits: bits, samples: samples, channels: channels, rate: rate}, err
}

// Write adds samples, those of one instant beside each other.
func (w *Writer) Write(samples []float32) error {
	w.block = w.block[:0]
	le := binary.LittleEndian
	for _, v := range samples {
		if w.bits == 0 {
			w.block = le.AppendUint32(w.block, math.Float32bits(v))
			continue
		}
		scale := float64(int64(1) << (w.bits - 1))
		x := math.RoundToEven(float64(v) * scale)
		if kept := max(-scale, min(x, scale-1)); kept != x {
			x = kept
			if v < -1 || v > 1 {
				w.Clipped++
			}
		}
		var b [8]byte
		le.PutUint64(b[:], uint64(int64(x)))
		w.block = append(w.block, b[:w.bits/8]...)
	}
	w.written += int64(len(samples))
	_, err := w.w.Write(w.block)
	return err
}

// Seconds is how long the samples sound that were written so far.
func (w *Writer) Seconds() float64 {
	return float64(w.written) / float64(w.channels) / float64(w.rate)
}

// Close ends the file; it does not close what is written to.
func (w *Writer) Close() error {
	if w.samples != Unknown && w.samples != w.written {
		return fmt.Errorf("has %d samples, and %d were announced", w.written, w.samples)
	}
	if w.written*int64(w.bits/8)&1 == 1 {
		_, err := w.w.Write([]byte{0})
		return err
	}
	return nil
}
