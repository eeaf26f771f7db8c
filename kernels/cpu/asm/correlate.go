package asm

import "unsafe"

// CorrelateLanes is how many sums Correlate has of one row and one tap.
const CorrelateLanes = 16

// CorrelateTaps is how many taps a Correlate of some rows takes.
var CorrelateTaps = [...]int{0, 6, 6, 4, 3}

// Correlate is, for rows i < m, taps j < CorrelateTaps[m] and elements l < n,
// where n is a multiple of CorrelateLanes, at least that,
//
//	acc := &sums[(j*m+i)*CorrelateLanes + l%CorrelateLanes]
//	*acc = fma(dy[i*next+l], x[at[j]+l], l < CorrelateLanes && load == 0 ? 0 : *acc)
//
// in the order of l. Distances at are in bytes.
type Correlate func(n int, dy *float32, next int, x *float32, at *int, sums *float32, load int)

func correlate(m int) Correlate {
	return func(n int, dy *float32, next int, x *float32, at *int, sums *float32, load int) {
		for j, d := range unsafe.Slice(at, CorrelateTaps[m]) {
			seen := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(x), d)), n)
			for i := range m {
				acc := (*[CorrelateLanes]float32)(unsafe.Add(unsafe.Pointer(sums), 4*CorrelateLanes*(j*m+i)))
				if load == 0 {
					*acc = [CorrelateLanes]float32{}
				}
				for l, v := range unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(dy), 4*i*next)), n) {
					lane := &acc[l%CorrelateLanes]
					*lane = FMA(v, seen[l], *lane)
				}
			}
		}
	}
}
