package cpu

import (
	"math"

	"pipe.dev/kernels/cpu/asm"
)

// folder is what a fold may use: vector functions, and memory for a tile.
type folder struct {
	rows *asm.Vector
	buf  []float32
}

// fold adds a tile to what was gathered so far: to acc[0] if the tile lies
// along a reduced axis, else element by element. aux is what an earlier pass
// found (a mean, a greatest element), in the same places.
type fold func(f folder, acc, aux []float64, x []float32)

// recipe is a reduction: one or two passes over x, and what is made of them.
type recipe struct {
	first         float64 // where acc starts
	along, across fold
	// extreme is across where it picks one of two, which float32 can hold.
	extreme func(rows *asm.Vector) asm.Join
	// A second pass starts from 0 with between(acc, n) as aux.
	between         func(acc float64, n int) float64
	along2, across2 fold
	last            func(acc, aux float64, n int) float64
}

func sumAlong(f folder, acc, _ []float64, x []float32) { acc[0] += f.rows.Sum(x) }

func sumAcross(f folder, acc, _ []float64, x []float32) { f.rows.SumInto(acc, x) }

func maxAlong(f folder, acc, _ []float64, x []float32) {
	acc[0] = max(acc[0], float64(f.rows.Greatest(x)))
}

func minAlong(f folder, acc, _ []float64, x []float32) {
	acc[0] = min(acc[0], float64(f.rows.Least(x)))
}

func squaresAlong(f folder, acc, mean []float64, x []float32) {
	acc[0] += f.rows.SumSquares(x, mean[0])
}

func squaresAcross(f folder, acc, mean []float64, x []float32) { f.rows.SquaresInto(acc, mean, x) }

func expsAlong(f folder, acc, m []float64, x []float32) {
	acc[0] += f.rows.SumExp(f.buf[:len(x)], x, float32(m[0]))
}

func expsAcross(f folder, acc, m []float64, x []float32) {
	e := f.buf[:len(x)]
	for i, v := range x {
		e[i] = v - float32(m[i])
	}
	f.rows.Exp(e, e)
	f.rows.SumInto(acc, e)
}

func mean(acc float64, n int) float64 { return acc / float64(n) }

// finite keeps a greatest element that -inf can be subtracted from.
func finite(m float64, _ int) float64 { return max(m, -math.MaxFloat32) }

func recipes() map[string]recipe {
	sum := recipe{along: sumAlong, across: sumAcross, last: func(acc, _ float64, _ int) float64 { return acc }}
	greatest, least, average, spread := sum, sum, sum, sum
	greatest.first, greatest.along, greatest.across = math.Inf(-1), maxAlong, nil
	greatest.extreme = func(rows *asm.Vector) asm.Join { return rows.Max }
	least.first, least.along, least.across = math.Inf(1), minAlong, nil
	least.extreme = func(rows *asm.Vector) asm.Join { return rows.Min }
	average.last = func(acc, _ float64, n int) float64 { return mean(acc, n) }
	spread.between, spread.along2, spread.across2 = mean, squaresAlong, squaresAcross
	spread.last = average.last
	logSum := greatest
	logSum.between, logSum.along2, logSum.across2 = finite, expsAlong, expsAcross
	logSum.last = func(acc, m float64, _ int) float64 { return m + math.Log(acc) }
	return map[string]recipe{"reduce_sum": sum, "reduce_max": greatest, "reduce_min": least,
		"reduce_mean": average, "variance": spread, "log_sum_exp": logSum}
}
