package journal

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
)

// niceTicks divides a range at multiples of 1, 2 or 5 times a power of ten, at
// most so many.
func niceTicks(low, high float64, most int) []plot.Tick {
	size := high - low
	if !(size > 0) || math.IsInf(size, 0) {
		return []plot.Tick{{Value: low, Label: number3(low)}}
	}
	power := math.Pow(10, math.Floor(math.Log10(size/float64(most))))
	unit := power
	for _, m := range []float64{1, 2, 5, 10} {
		if unit = m * power; size/unit <= float64(most) {
			break
		}
	}
	var ticks []plot.Tick
	for i := math.Ceil(low/unit - 1e-9); i*unit <= high+1e-9*unit; i++ {
		ticks = append(ticks, plot.Tick{Value: i * unit})
	}
	label(ticks)
	return ticks
}

// label writes the numbers of ticks in order all in the way of the greatest.
func label(ticks []plot.Tick) {
	greatest := 0.0
	for _, t := range ticks {
		greatest = max(greatest, math.Abs(t.Value))
	}
	for i, t := range ticks {
		switch {
		case greatest >= 1e4 && greatest < 1e12 && t.Value != 0:
			scale, suffix := prefix(greatest)
			ticks[i].Label = strconv.FormatFloat(t.Value/scale, 'g', 6, 64) + suffix
		case greatest < 1.01e-2 && t.Value != 0:
			ticks[i].Label = scientific(t.Value)
		default:
			ticks[i].Label = number3(t.Value)
		}
	}
}

// prefix is the power of a thousand by which a number of at least 1e4 is
// written, and its letter.
func prefix(v float64) (scale float64, letter string) {
	switch {
	case v >= 1e9:
		return 1e9, "G"
	case v >= 1e6:
		return 1e6, "M"
	}
	return 1e3, "k"
}

// logTicks divides a positive range at powers of ten, and at 2 and 5 times
// them where there are few.
func logTicks(low, high float64) []plot.Tick {
	if !(low > 0) || !(high/low <= maxRatio) {
		return niceTicks(low, high, 5)
	}
	decades := math.Log10(high / low)
	factors := []float64{1}
	switch {
	case decades <= 1.3:
		factors = []float64{1, 1.5, 2, 3, 4, 5, 7}
	case decades <= 3:
		factors = []float64{1, 2, 5}
	}
	every := int(decades/9) + 1
	var ticks []plot.Tick
	for e := int(math.Floor(math.Log10(low))); e <= int(math.Ceil(math.Log10(high))); e++ {
		for _, m := range factors {
			v, err := strconv.ParseFloat(fmt.Sprintf("%ge%d", m, e), 64)
			if err == nil && v >= low && v <= high && e%every == 0 {
				ticks = append(ticks, plot.Tick{Value: v, Label: number3(v)})
			}
		}
	}
	if len(ticks) < 2 {
		return niceTicks(low, high, 5)
	}
	return ticks
}

// number3 writes a number for a reader: 1,500 as 1.5k, 3e-4 as it is.
func number3(v float64) string {
	a := math.Abs(v)
	switch {
	case a < 1e-15:
		return "0"
	case a >= 1e12 || a < 0.99e-3:
		return scientific(v)
	case a >= 1e4:
		scale, letter := prefix(a)
		return strconv.FormatFloat(v/scale, 'g', 6, 64) + letter
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// scientific writes v as 3e-4, with at most three digits.
func scientific(v float64) string {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 2, 64), "e")
	n, _ := strconv.Atoi(exponent) // strconv wrote it
	return fmt.Sprintf("%se%d", strings.TrimRight(strings.TrimRight(mantissa, "0"), "."), n)
}
