package audio

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"path/filepath"
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
		b := bufio.NewWriterSize(w, 1<<16)
		if clipped, err = encodeWAV(b, c, bits); err != nil {
			return err
		}
		return b.Flush()
	})
	return clipped, err
}

func encodeWAV(w io.Writer, c *Clip, bits int) (clipped int, err error) {
	kind, width := wavPCM, bits/8
	if bits == 0 {
		kind, width = wavFloat, 4
	}
	size := int64(len(c.Samples)) * int64(width)
	if size > math.MaxUint32-64 {
		return 0, fmt.Errorf("holds %d bytes of samples; a WAV file may have 4 GiB", size)
	}
	var head []byte
	le := binary.LittleEndian
	head = append(head, "RIFF"...)
	head = le.AppendUint32(head, uint32(36+size+size&1))
	head = append(head, "WAVEfmt "...)
	head = le.AppendUint32(head, 16)
	head = le.AppendUint16(head, uint16(kind))
	head = le.AppendUint16(head, uint16(c.Channels))
	head = le.AppendUint32(head, uint32(c.Rate))
	head = le.AppendUint32(head, uint32(c.Rate*c.Channels*width))
	head = le.AppendUint16(head, uint16(c.Channels*width))
	head = le.AppendUint16(head, uint16(8*width))
	head = append(head, "data"...)
	head = le.AppendUint32(head, uint32(size))
	if _, err := w.Write(head); err != nil {
		return 0, err
	}
	var b [8]byte
	for _, v := range c.Samples {
		if bits == 0 {
			le.PutUint32(b[:], math.Float32bits(v))
		} else {
			scale := float64(int64(1) << (bits - 1))
			x := math.RoundToEven(float64(v) * scale)
			if kept := max(-scale, min(x, scale-1)); kept != x {
				x = kept
				if v < -1 || v > 1 {
					clipped++
				}
			}
			le.PutUint64(b[:], uint64(int64(x)))
		}
		if _, err := w.Write(b[:width]); err != nil {
			return clipped, err
		}
	}
	if size&1 == 1 {
		_, err = w.Write([]byte{0})
	}
	return clipped, err
}
