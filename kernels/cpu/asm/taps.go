package asm

import "unsafe"

// Windows holds sums over channels and taps: the elements of a kernel that
// moves over x. A list at has two distances in bytes for each tap: in a, the
// weights, and in b, what the first position sees through it.
type Windows struct {
	Taps      []Taps      // by height, from 1 to Rows
	Correlate []Correlate // by height, from 1
	Weighted  Weighted

	Quarters, WindowedQuarters, Pairs, Fifths Butterfly

	RealBins RealBins

	TileWeights, TilePatches, TileSums Squares
}

// Taps is a tile of rows times a panel, for a fixed number of rows m:
//
//	for i < m, j < Panel:
//		acc := load != 0 ? c[i*ldc+j] : 0
//		for l < channels, t < taps: acc = fma(a[l*nextA + atA[t] + i], b[l*nextB + atB[t] + j], acc)
//		c[i*ldc+j] = acc
//
// There are channels and taps. Every element is one chain, which another call
// may continue.
type Taps func(channels, taps int, a *float32, nextA int, b *float32, nextB int, at *int, c *float32, ldc int, load int)

// Weighted is, for j < n and at least one tap,
//
//	acc := load != 0 ? c[j] : 0
//	for t < taps: acc = fma(a[atA[t]], b[atB[t] + j], acc)
//	c[j] = acc
type Weighted func(n, taps int, a, b *float32, at *int, c *float32, load int)

func genericWindows() Windows {
	w := Windows{Taps: []Taps{nil}, Correlate: []Correlate{nil}, Weighted: weighted, Quarters: quarters, WindowedQuarters: windowedQuarters, Pairs: pairs, Fifths: fifths, RealBins: realBins,
		TileWeights: squaresOf(3, 6, kernelAxis), TilePatches: squaresOf(6, 6, patchAxis), TileSums: squaresOf(6, 4, positionAxis)}
	for m := 1; m <= genericRows; m++ {
		w.Taps = append(w.Taps, taps(m))
	}
	for m := 1; m < len(CorrelateTaps); m++ {
		w.Correlate = append(w.Correlate, correlate(m))
	}
	return w
}

func taps(m int) Taps {
	return func(channels, taps int, a *float32, nextA int, b *float32, nextB int, at *int, c *float32, ldc int, resume int) {
		var acc [genericRows][Panel]float32
		begin(acc[:m], c, ldc, Panel, resume)
		list := unsafe.Slice(at, 2*taps)
		for l := range channels {
			for t := 0; t < len(list); t += 2 {
				x := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(a), 4*l*nextA+list[t])), m)
				w := row((*float32)(unsafe.Add(unsafe.Pointer(b), list[t+1])), l*nextB)
				for i, v := range x {
					fmas(acc[i][:], v, w)
				}
			}
		}
		end(acc[:m], c, ldc, Panel, nil)
	}
}

func weighted(n, taps int, a, b *float32, at *int, c *float32, resume int) {
	y := unsafe.Slice(c, n)
	if resume == 0 {
		clear(y)
	}
	list := unsafe.Slice(at, 2*taps)
	for t := 0; t < len(list); t += 2 {
		x := *(*float32)(unsafe.Add(unsafe.Pointer(a), list[t]))
		fmas(y, x, unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(b), list[t+1])), n))
	}
}
