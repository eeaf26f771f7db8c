package quant

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Groups of 4-bit weights in rows: what Grouped holds, one output after another.

// decodeGroup: scale, zero f16, q [n/2]: of each 32 weights, the low bits of 16
// bytes are the first half; x = scale q - scale zero. If zero is a whole number,
// that is scale (q - zero) exactly.
func decodeGroup(dst []float32, src []byte) {
	d := f16(src)
	least := float32(d * f16(src[2:]))
	for i := range dst {
		dst[i] = float32(d*float32(groupCode(src, i))) - least
	}
}

// groupCode is weight i of a group, as it is stored.
func groupCode(src []byte, i int) byte { return src[4+i/32*16+i%16] >> (i % 32 / 16 * 4) & 15 }

// encodeGroup spans the weights, and 0, with 16 whole steps.
func encodeGroup(dst []byte, src []float32) {
	var low, high float32
	for _, x := range src {
		low, high = min(low, x), max(high, x)
	}
	d := putF16(dst, (high-low)/15)
	id := inverse(d)
	zero := putF16(dst[2:], float32(math.Round(float64(-low*id))))
	clear(dst[4:])
	for i, x := range src {
		q := max(0, min(15, int(math.Round(float64(x*id)))+int(zero)))
		dst[4+i/32*16+i%16] |= byte(q) << (i % 32 / 16 * 4)
	}
}

// Rows writes g as blocks in rows [Out, In] of the format q4_gN, N its Group, to
// dst: the same weights, bit for bit. awq says in which of the two forms g is. It
// fails for weights in an order of groups, which rows of blocks can't have.
func (g Grouped) Rows(dst []byte, awq bool) error {
	f, err := Lookup(fmt.Sprintf("q4_g%d", g.Group))
	if err != nil {
		return err
	}
	if g.Index != nil {
		return fmt.Errorf("%s: inputs are in an order of groups (desc_act), not one group after another", f.Name)
	}
	along := g.In
	if awq {
		along = g.Out
	}
	if err := g.check(g.In*g.Out, along); err != nil {
		return err
	}
	if len(dst) != g.In*g.Out/f.Block*f.Bytes {
		return fmt.Errorf("%s: %d weights take %d bytes, not %d", f.Name, g.In*g.Out, g.In*g.Out/f.Block*f.Bytes, len(dst))
	}
	weight, zero := g.codes(awq)
	clear(dst)
	groups := g.In / g.Group
	for o := range g.Out {
		for b := range groups {
			block := dst[(o*groups+b)*f.Bytes:]
			binary.LittleEndian.PutUint16(block, g.Scales[b*g.Out+o])
			putF16(block[2:], float32(zero(b, o)))
			for i := range g.Group {
				block[4+i/32*16+i%16] |= byte(weight(b*g.Group+i, o)) << (i % 32 / 16 * 4)
			}
		}
	}
	return nil
}
