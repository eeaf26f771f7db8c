package asm

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/cpu"
)

// tiled is what this machine has of tiles, or nothing.
func tiled(t testing.TB) Tiled {
	if !cpu.X86.HasAMXTile || !cpu.X86.HasAMXInt8 || !cpu.X86.HasAVX512BW || !PermitTiles() {
		t.Skip("this CPU has no AMX, or the system keeps no tiles")
	}
	return AMX()
}

// Tiles give the bits that Blocks give of the same panel without a sign.
func TestTiles(t *testing.T) {
	k, generic, r := tiled(t), Generic(), rand.New(rand.NewPCG(19, 20))
	const groups, gap = 3, 16
	for c := range Codings {
		p, kind := PackingOf(c), PackingOf(c).Kind()
		for m := LeastTiles; m < len(k.Tiles[kind]); m++ {
			for _, n := range []int{0, 1, 2, 5} {
				rows, ldx := groups*m, n*BlockX+gap
				floats, x := random(r, n*Block+1), make([]byte, rows*ldx)
				for i := range rows {
					copy(floats, random(r, n*Block))
					generic.Quantise[kind](n, &floats[0], &x[i*ldx], p.Shift)
				}
				w := make([]byte, n*kind.Unpacked()+1)
				for b := range n {
					scales := w[b*kind.Unpacked():][:kind.Unpacked()-Block*Panel]
					for i := 0; i < len(scales); i += 4 {
						binary.LittleEndian.PutUint32(scales[i:], math.Float32bits(float32(r.NormFloat64())))
					}
					for i := range Block * Panel {
						w[b*kind.Unpacked()+len(scales)+i] = byte(r.IntN(1 << p.codeBits()))
					}
				}
				signed := append([]byte(nil), w...)
				if n > 0 && !kind.Least() {
					k.MakeSigned[kind](n, &signed[0], p.Shift)
				}
				bias, room := random(r, Panel), make([]byte, 128*m+1)
				from := random(r, rows*(Panel+gap))
				for _, load := range []int{0, 1} {
					for _, b := range []*float32{nil, &bias[0]} {
						got, want := append([]float32(nil), from...), append([]float32(nil), from...)
						k.Tiles[kind][m](groups, n, &x[0], ldx, &signed[0], &got[0], Panel+gap, b, load, &room[0])
						for i := range rows {
							generic.Blocks[kind][1](n, &x[i*ldx], 0, &w[0], &want[i*(Panel+gap)], 0, b, load)
						}
						sameBits(t, fmt.Sprintf("coding %d, %d rows, %d blocks, load %d, bias %v", c, m, n, load, b != nil), got, want)
					}
				}
			}
		}
	}
}

// codeBits is how many bits the codes of a block that was unpacked have.
func (p Packing) codeBits() int {
	if p.Kind() == OffsetBytes {
		return 8
	}
	return p.Bits
}

// What tiles take, groups of every height, in the first-level cache.
func BenchmarkTiles(b *testing.B) {
	const n, groups = 16, 4
	k := tiled(b)
	x, y, w, room := make([]byte, groups*tallest*n*BlockX), make([]float32, groups*tallest*Panel), make([]byte, n*2048), make([]byte, 128*tallest+64)
	for kind := range Kinds {
		for m := LeastTiles; m < len(k.Tiles[kind]); m++ {
			b.Run(fmt.Sprintf("%d/%d", kind, m), func(b *testing.B) {
				s := quickest(b, func() {
					k.Tiles[kind][m](groups, n, &x[0], n*BlockX, &w[0], &y[0], Panel, nil, 1, &room[0])
				})
				b.ReportMetric(float64(groups*2*n*m*Block*Panel)/s/1e9, "GOP/s")
			})
		}
		if k.MakeSigned[kind] != nil {
			b.Run(fmt.Sprintf("%d/sign", kind), func(b *testing.B) {
				s := quickest(b, func() { k.MakeSigned[kind](n, &w[0], 3) })
				b.ReportMetric(s*1e9/n, "ns/block")
			})
		}
	}
}

const tallest = 12
