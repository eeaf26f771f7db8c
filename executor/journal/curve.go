package journal

import (
	"math"
	"slices"

	"gonum.org/v1/plot/plotter"
)

// maxDrawn is the greatest magnitude that is drawn; more counts as not finite.
const maxDrawn = 1e100

// curve is a value over steps, as finite points.
type curve struct {
	points plotter.XYs
	broken int64 // the first step at which it was not finite, or -1
}

// curveOf picks the values that get gives.
func curveOf(rows []Row, get func(Row) (float64, bool)) curve {
	c := curve{broken: -1}
	for _, r := range rows {
		v, ok := get(r)
		switch {
		case !ok:
		case !(math.Abs(v) <= maxDrawn):
			if c.broken < 0 {
				c.broken = r.Step
			}
		default:
			c.points = append(c.points, plotter.XY{X: float64(r.Step), Y: v})
		}
	}
	return c
}

func named(rows []Row, name string, scale float64) curve {
	return curveOf(rows, func(r Row) (float64, bool) {
		v, ok := r.Values[name]
		return v * scale, ok
	})
}

// rangeY returns the least and the greatest value.
func rangeY(points plotter.XYs) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, p := range points {
		low, high = min(low, p.Y), max(high, p.Y)
	}
	return low, high
}

// median returns the middle value.
func median(points plotter.XYs) float64 {
	if len(points) == 0 {
		return math.NaN()
	}
	all := make([]float64, len(points))
	for i, p := range points {
		all[i] = p.Y
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// window is over how many points a curve of n is smoothed: odd, or 0 for none.
func window(n int) int {
	if n < 40 {
		return 0
	}
	return n/40 | 1
}

// smoothed returns the means over windows of about this many points, twice.
// Near the ends they are narrower, so that they stay centred and do not lag,
// but never so narrow that the ends jump about.
func smoothed(points plotter.XYs, window int) plotter.XYs {
	for range 2 {
		sums := make([]float64, len(points)+1)
		for i, p := range points {
			sums[i+1] = sums[i] + p.Y
		}
		out := make(plotter.XYs, len(points))
		for i, p := range points {
			half := max(min(window/2, i, len(points)-1-i), window/5)
			from, to := max(0, i-half), min(len(points), i+half+1)
			out[i] = plotter.XY{X: p.X, Y: (sums[to] - sums[from]) / float64(to-from)}
		}
		points = out
	}
	return points
}

// thinned returns at most about most points that look the same: the least and
// the greatest of each stretch, in their order, and both ends.
func thinned(points plotter.XYs, most int) plotter.XYs {
	if len(points) <= most {
		return points
	}
	stretches := most / 2
	out := append(make(plotter.XYs, 0, most+2), points[0])
	for s := range stretches {
		part := points[s*len(points)/stretches : (s+1)*len(points)/stretches]
		low, high := 0, 0
		for i, p := range part {
			if p.Y < part[low].Y {
				low = i
			}
			if p.Y > part[high].Y {
				high = i
			}
		}
		out = append(out, part[min(low, high)])
		if low != high {
			out = append(out, part[max(low, high)])
		}
	}
	return append(out, points[len(points)-1])
}
