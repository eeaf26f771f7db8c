package train

import (
	"strings"
	"testing"
)

// The peer is the Rust library, by way of Python; run the two by turns:
//
//	go test -run xxx -bench . && python3 testdata/bench.py DATA
func BenchmarkShakespeare(b *testing.B) {
	text := sharedText(b, "train", "tinyshakespeare.txt")
	lines := strings.SplitAfter(text, "\n")
	for _, c := range readTrained(b).Shakespeare {
		b.Run(strings.ReplaceAll(c.Name, " ", "_"), func(b *testing.B) {
			a := c.attr(b)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := Run(a, each(lines), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
