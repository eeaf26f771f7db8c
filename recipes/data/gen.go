// Command gen writes what recipes learn from: for tiny-llama.cue sums and
// differences of all pairs of numbers below 100, some of them held out; for
// gan.cue points.
//
//	go run ./recipes/data
package main

import (
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// heldOut is the share of problems that no training sees.
const heldOut = 0.1

func main() {
	dir := "recipes/data"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	train, test := problems()
	for name, text := range map[string]string{"arithmetic.txt": lines(train), "arithmetic_heldout.txt": lines(test), "ring.csv": ring()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func lines(list []string) string { return strings.Join(list, "\n") + "\n" }

// problems are "37+58=95." and "37-58=-21.", in an order that a fixed seed
// chooses.
func problems() (train, test []string) {
	r := rand.New(rand.NewPCG(2026, 11))
	var all []string
	for a := range 100 {
		for b := range 100 {
			all = append(all, fmt.Sprintf("%d+%d=%d.", a, b, a+b), fmt.Sprintf("%d-%d=%d.", a, b, a-b))
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	n := int(float64(len(all)) * heldOut)
	return all[n:], all[:n]
}
