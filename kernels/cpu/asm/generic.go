package asm

import (
	"unsafe"

	"pipe.dev/kernels/half"
)

// genericRows is the height of the portable tiles: small, since there is no
// vector register to fill.
const genericRows = 4

// Generic holds the portable loops, which define what the others compute.
func Generic() Kernels {
	k := Kernels{Rows: genericRows, Panels: 1, Vector: genericVector(), Windows: genericWindows(), ByCol: []Strided{nil}, Scores: []Scores{nil}, Values: []Values{nil}}
	for m := 1; m <= genericRows; m++ {
		k.ByCol = append(k.ByCol, strided(m, F32, false, Panel))
		k.Scores, k.Values = append(k.Scores, scores(m)), append(k.Values, values(m))
	}
	for kind := range Kinds {
		k.Quantise[kind], k.Blocks[kind] = quantise(kind), []Blocks{nil}
		for m := 1; m <= genericRows; m++ {
			k.Blocks[kind] = append(k.Blocks[kind], blocks(kind, m))
		}
	}
	k.UnpackNF4 = unpackNF4
	k.Prefetch = func(*byte, int) {}
	for c := range Codings {
		if c.InRows() {
			k.UnpackRows[c] = unpackRows(c)
		} else {
			k.Unpack[c] = unpack(c)
		}
	}
	for s := range k.Gemv {
		st := Storage(s)
		k.ByRow[s] = []Strided{nil}
		for m := 1; m <= genericRows; m++ {
			k.ByRow[s] = append(k.ByRow[s], strided(m, st, true, Panel))
		}
		k.Gemv[s], k.Mix[s], k.Dots[s], k.Interleave[s] = gemv(st), mix(st), dots(st), interleave(st)
	}
	return k
}

func scores(m int) Scores {
	tile := strided(m, F32, true, Panel)
	return func(k int, a *float32, lda int, b *float32, apart, panels int, c *float32, ldc int) {
		from, to := unsafe.Pointer(b), unsafe.Pointer(c)
		for i := range panels {
			tile(k, a, lda, (*byte)(unsafe.Add(from, 4*apart*i)), Panel, (*float32)(unsafe.Add(to, 4*Panel*i)), ldc, nil, 0)
		}
	}
}

func values(m int) Values {
	halves := [2]Strided{strided(m, F32, true, Panel/2), strided(m, F32, true, Panel)}
	return func(k int, a *float32, lda int, b *float32, apart, width int, c *float32, ldc int, shrink *float32) {
		factors := unsafe.Slice(shrink, m)
		for from, to := unsafe.Pointer(b), unsafe.Pointer(c); width > 0; width -= Panel {
			whole := min(1, width/(Panel/2+1))
			for i, f := range factors {
				row := unsafe.Slice((*float32)(unsafe.Add(to, 4*ldc*i)), Panel/2*(whole+1))
				for j := range row {
					row[j] = float32(row[j] * f)
				}
			}
			halves[whole](k, a, lda, (*byte)(from), Panel, (*float32)(to), ldc, nil, 1)
			from, to = unsafe.Add(from, 4*apart), unsafe.Add(to, 4*Panel)
		}
	}
}

// load widens len(dst) elements from p on.
func load(s Storage, dst []float32, p *byte) {
	switch s {
	case F32:
		copy(dst, unsafe.Slice((*float32)(unsafe.Pointer(p)), len(dst)))
	case BF16:
		for i, h := range unsafe.Slice((*uint16)(unsafe.Pointer(p)), len(dst)) {
			dst[i] = half.BF16ToF32(h)
		}
	case F16:
		for i, h := range unsafe.Slice((*uint16)(unsafe.Pointer(p)), len(dst)) {
			dst[i] = half.F16ToF32(h)
		}
	}
}

var sizes = [3]int{F32: 4, BF16: 2, F16: 2}

func at(p *byte, offset int) *byte { return (*byte)(unsafe.Add(unsafe.Pointer(p), offset)) }

func strided(m int, s Storage, byRow bool, width int) Strided {
	size := sizes[s]
	return func(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc int, bias *float32, resume int) {
		down, along := lda, 1
		if !byRow {
			down, along = 1, lda
		}
		var acc [genericRows][Panel]float32
		begin(acc[:m], c, ldc, width, resume)
		var w [Panel]float32
		for l := range k {
			load(s, w[:width], at(b, l*ldb*size))
			for i := range m {
				x := (*float32)(unsafe.Add(unsafe.Pointer(a), 4*(i*down+l*along)))
				fmas(acc[i][:width], *x, w[:width])
			}
		}
		end(acc[:m], c, ldc, width, bias)
	}
}

// begin takes up sums where another call left them.
func begin(acc [][Panel]float32, c *float32, ldc, width, resume int) {
	if resume == 0 {
		return
	}
	for i := range acc {
		copy(acc[i][:], unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(c), 4*i*ldc)), width))
	}
}

// end writes sums, with the bias.
func end(acc [][Panel]float32, c *float32, ldc, width int, bias *float32) {
	for i := range acc {
		y := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(c), 4*i*ldc)), width)
		copy(y, acc[i][:])
		if bias != nil {
			for j, v := range unsafe.Slice(bias, width) {
				y[j] += v
			}
		}
	}
}

// row is a panel's width of floats from p[offset] on.
func row(p *float32, offset int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(p), 4*offset)), Panel)
}

func gemv(s Storage) Gemv {
	one := strided(1, s, true, Panel)
	return func(k int, x *float32, b *byte, _ int, y *float32, bias *float32) {
		one(k, x, 0, b, Panel, y, Panel, bias, 0)
	}
}

func mix(s Storage) Mix {
	size := sizes[s]
	return func(n, d int, p *float32, values *byte, stride int, acc *float32) {
		y := unsafe.Slice(acc, d)
		var v [Panel]float32
		for j, w := range unsafe.Slice(p, n) {
			for l := 0; l < d; l += Panel {
				tile := v[:min(Panel, d-l)]
				load(s, tile, at(values, j*stride+l*size))
				fmas(y[l:l+len(tile)], w, tile)
			}
		}
	}
}

func dots(s Storage) Dots {
	size := sizes[s]
	return func(m, n, k int, q *float32, ldq int, keys *byte, stride int, p *float32, ldp int) {
		var tile [16]float32
		for j := range n {
			for l := 0; l < k; l += len(tile) {
				load(s, tile[:], at(keys, j*stride+l*size))
				for i := range m {
					acc := (*float32)(unsafe.Add(unsafe.Pointer(p), 4*(i*ldp+j)))
					row := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(q), 4*(i*ldq+l))), len(tile))
					for c, v := range tile {
						*acc = FMA(row[c], v, *acc)
					}
				}
			}
		}
	}
}

func interleave(s Storage) Interleave {
	size := sizes[s]
	return func(m, k int, x *byte, stride int, dst *float32) {
		y := unsafe.Slice(dst, m*k)
		var row [16]float32
		for i := range m {
			for l := 0; l < k; l += len(row) {
				load(s, row[:], at(x, i*stride+l*size))
				for j, v := range row {
					y[(l+j)*m+i] = v
				}
			}
		}
	}
}
