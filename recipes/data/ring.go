package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// ring is points in eight clusters on a circle of radius 1, for recipes/gan.cue.
func ring() string {
	r := rand.New(rand.NewPCG(2026, 12))
	var b strings.Builder
	b.WriteString("x,y\n")
	for range 1600 {
		angle := 2 * math.Pi * float64(r.IntN(8)) / 8
		x, y := math.Cos(angle)+0.05*r.NormFloat64(), math.Sin(angle)+0.05*r.NormFloat64()
		fmt.Fprintf(&b, "%.4f,%.4f\n", x, y)
	}
	return b.String()
}
