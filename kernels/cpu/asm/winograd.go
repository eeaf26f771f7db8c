package asm

import "unsafe"

// Squares is a transform of Winograd's convolution of tiles of 4 x 4 positions and kernels of 3 x 3, over two axes: M x Mᵀ for
// a matrix M of a columns and b rows, element by element of rows of n floats. Row i*a+j of x, a stride of ldx floats apart, holds
// element (i, j) of n matrices x, and that of y likewise. x may be changed.
//
//	TileWeights   3 to 6   weights, G
//	TilePatches   6 to 6   what positions see of x, Bᵀ
//	TileSums      6 to 4   sums of products, Aᵀ
//
// The points where polynomials are evaluated are 0, ±a, ±b and infinity, with a and b of WinogradPoints. Each axis in turn, the
// first first, in the order of operations of the functions here.
//
// Source: arXiv:1509.09308; arXiv:1803.10986 for how to choose the points.
type Squares func(n int, x *float32, ldx int, y *float32, ldy int)

// WinogradPoints are a and b: they lose the least of those tried (a test states how little).
const (
	winogradA = 0.625
	winogradB = 1.5
)

// The constants of the transforms: squares, cubes, and what else stands in the matrices.
const (
	squareA, squareB     = winogradA * winogradA, winogradB * winogradB
	cubeA, cubeB         = winogradA * squareA, winogradB * squareB
	bothSquares, product = squareA + squareB, squareA * squareB

	kernel0  = 1 / product
	kernelA  = 1 / (2 * squareA * (squareA - squareB))
	kernelB  = 1 / (2 * squareB * (squareB - squareA))
	kernelA1 = winogradA * kernelA
	kernelB1 = winogradB * kernelB
	kernelA2 = squareA * kernelA
	kernelB2 = squareB * kernelB
)

// kernelAxis is G x.
func kernelAxis(x, y []float32) {
	w0, w1, w2 := x[0], x[1], x[2]
	ea, eb := FMA(w2, kernelA2, float32(w0*kernelA)), FMA(w2, kernelB2, float32(w0*kernelB))
	y[0] = w0 * kernel0
	y[1], y[2] = FMA(w1, kernelA1, ea), FMA(w1, -kernelA1, ea)
	y[3], y[4] = FMA(w1, kernelB1, eb), FMA(w1, -kernelB1, eb)
	y[5] = w2
}

// patchAxis is Bᵀ x.
func patchAxis(x, y []float32) {
	d0, d1, d2, d3, d4, d5 := x[0], x[1], x[2], x[3], x[4], x[5]
	ea, oa := FMA(d2, -squareB, d4), FMA(d1, -squareB, d3)
	eb, ob := FMA(d2, -squareA, d4), FMA(d1, -squareA, d3)
	y[0] = FMA(d0, product, FMA(d2, -bothSquares, d4))
	y[1], y[2] = FMA(oa, winogradA, ea), FMA(oa, -winogradA, ea)
	y[3], y[4] = FMA(ob, winogradB, eb), FMA(ob, -winogradB, eb)
	y[5] = FMA(d1, product, FMA(d3, -bothSquares, d5))
}

// positionAxis is Aᵀ x.
func positionAxis(x, y []float32) {
	sa, da, sb, db, m5 := x[1]+x[2], x[1]-x[2], x[3]+x[4], x[3]-x[4], x[5]
	y[0] = x[0] + sa + sb
	y[1] = FMA(da, winogradA, float32(db*winogradB))
	y[2] = FMA(sa, squareA, float32(sb*squareB))
	y[3] = FMA(da, cubeA, FMA(db, cubeB, m5))
}

// squaresOf is the Squares of a matrix with so many columns and rows.
func squaresOf(a, b int, axis func(x, y []float32)) Squares {
	return func(n int, x *float32, ldx int, y *float32, ldy int) {
		for e := range n {
			var in, out [6]float32
			var half [36]float32
			for j := range a {
				for i := range a {
					in[i] = *(*float32)(unsafe.Add(unsafe.Pointer(x), 4*((i*a+j)*ldx+e)))
				}
				axis(in[:], out[:])
				for i := range b {
					half[i*a+j] = out[i]
				}
			}
			for i := range b {
				axis(half[i*a:], out[:])
				for j := range b {
					*(*float32)(unsafe.Add(unsafe.Pointer(y), 4*((i*b+j)*ldy+e))) = out[j]
				}
			}
		}
	}
}
