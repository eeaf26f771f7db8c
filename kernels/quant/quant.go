// Package quant holds the block formats of quantised weights: how a block of
// weights lies in bytes, what it stands for, and how weights become such
// blocks. Values are those of the reference implementations, bit for bit: the
// GGUF tables, the 4-bit normal float of QLoRA, and the grouped 4-bit weights
// of GPTQ and AWQ.
//
// It knows no files, no tensors and no kernels: whoever multiplies by such
// weights repacks them in an order of his own.
package quant

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"pipe.dev/kernels/half"
)

// Format is a way to store weights in blocks. Rows of a matrix are stored one
// after another, so a row must have a whole number of blocks.
type Format struct {
	Name  string // as documents spell it: q4_k
	Doc   string // one line: what a block holds
	Block int    // weights in a block
	Bytes int    // of a block

	decode func(dst []float32, src []byte)
	encode func(dst []byte, src []float32)
}

// Formats lists the formats, the most bits per weight first, and then the groups.
//
// Source: the GGUF specification (ggml-org/ggml, docs/gguf.md and its
// reference implementation), arXiv:2305.14314 for nf4.
func Formats() []Format {
	return []Format{
		{"q8_0", "f16 scale; 32 x 8 bits", 32, 34, decodeQ8, encodeQ8},
		{"q6_k", "f16 scale of 16 8-bit scales; 256 x 6 bits", 256, 210, decodeQ6K, encodeQ6K},
		{"q5_1", "f16 scale and least weight; 32 x 5 bits", 32, 24, simple{5, true}.decode, simple{5, true}.encode},
		{"q5_0", "f16 scale; 32 x 5 bits", 32, 22, simple{5, false}.decode, simple{5, false}.encode},
		{"q5_k", "f16 scales of 8 6-bit scales and minima; 256 x 5 bits", 256, 176, decodeQ5K, encodeQ5K},
		{"q4_1", "f16 scale and least weight; 32 x 4 bits", 32, 20, simple{4, true}.decode, simple{4, true}.encode},
		{"q4_0", "f16 scale; 32 x 4 bits", 32, 18, simple{4, false}.decode, simple{4, false}.encode},
		{"q4_k", "f16 scales of 8 6-bit scales and minima; 256 x 4 bits", 256, 144, decodeQ4K, encodeQ4K},
		{"iq4_nl", "f16 scale; 32 x 4 bits of a table that is finer near 0", 32, 18, decodeIQ4NL, encodeIQ4NL},
		{"nf4", "f32 greatest magnitude; 64 x 4 bits of the quantiles of a normal distribution", 64, 36, decodeNF4, encodeNF4},
		{"q3_k", "f16 scale of 16 6-bit scales; 256 x 3 bits", 256, 110, decodeQ3K, encodeQ3K},
		{"q2_k", "f16 scales of 16 4-bit scales and minima; 256 x 2 bits", 256, 84, decodeQ2K, encodeQ2K},
		{"q4_g32", "f16 scale and zero; a group of 32 x 4 bits, as GPTQ and AWQ have it", 32, 20, decodeGroup, encodeGroup},
		{"q4_g64", "f16 scale and zero; a group of 64 x 4 bits", 64, 36, decodeGroup, encodeGroup},
		{"q4_g128", "f16 scale and zero; a group of 128 x 4 bits", 128, 68, decodeGroup, encodeGroup},
	}
}

// Lookup finds a format by name.
func Lookup(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Format{}, fmt.Errorf("no format %q of quantised weights: want one of %s", name, strings.Join(names, ", "))
}

// Size returns the bytes of n weights, which must be whole blocks.
func (f Format) Size(n int) (int, error) {
	if n < 0 || n%f.Block != 0 {
		return 0, fmt.Errorf("%s: %d weights are no whole number of blocks of %d", f.Name, n, f.Block)
	}
	return n / f.Block * f.Bytes, nil
}

// Bits is the average number of bits of a weight.
func (f Format) Bits() float64 { return 8 * float64(f.Bytes) / float64(f.Block) }

// Decode writes the weights that src stands for to dst, which must have room
// for exactly these.
func (f Format) Decode(dst []float32, src []byte) error {
	if err := f.fit(len(dst), len(src)); err != nil {
		return err
	}
	for i := 0; i < len(dst)/f.Block; i++ {
		f.decode(dst[i*f.Block:(i+1)*f.Block], src[i*f.Bytes:(i+1)*f.Bytes])
	}
	return nil
}

// Encode writes the blocks that stand for src to dst, which must have exactly
// their size. It fails for a weight that is not finite or too large for the
// scale of a block.
func (f Format) Encode(dst []byte, src []float32) error {
	if err := f.fit(len(src), len(dst)); err != nil {
		return err
	}
	for i, x := range src {
		// The scale of a block is half a precision, and at least a fraction of
		// its greatest weight.
		if !(math.Abs(float64(x)) <= maxF16) {
			return fmt.Errorf("%s: weight %d is %g: want at most %d in magnitude", f.Name, i, x, maxF16)
		}
	}
	for i := 0; i < len(src)/f.Block; i++ {
		f.encode(dst[i*f.Bytes:(i+1)*f.Bytes], src[i*f.Block:(i+1)*f.Block])
	}
	return nil
}

const maxF16 = 65504 // the greatest value of f16

func (f Format) fit(weights, bytes int) error {
	want, err := f.Size(weights)
	if err == nil && bytes != want {
		err = fmt.Errorf("%s: %d weights take %d bytes, not %d", f.Name, weights, want, bytes)
	}
	return err
}

// f16 reads the value of half precision at the start of b.
func f16(b []byte) float32 { return half.F16ToF32(binary.LittleEndian.Uint16(b)) }

// putF16 writes x at the start of b, rounded, and returns what was written.
func putF16(b []byte, x float32) float32 {
	h := half.F32ToF16(x)
	binary.LittleEndian.PutUint16(b, h)
	return half.F16ToF32(h)
}
