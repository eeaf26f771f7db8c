package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// ragged is a row of documents, side by side or one after another.
type ragged struct {
	at               op.AttentionAttr
	heads, groups, d int
	q, k, v, dy      []float32 // of all positions
}

func newRagged(at op.AttentionAttr, tokens int) ragged {
	const heads, groups, d = 4, 2, 20
	r := rand.New(rand.NewPCG(17, 18))
	return ragged{at, heads, groups, d, random(r, tokens*heads*d), random(r, tokens*groups*d), random(r, tokens*groups*d), random(r, tokens*heads*d)}
}

// run gives y and the gradients of query, key and value of a batch of
// sequences of n positions; what is missing of a sequence is NaN.
func (c ragged) run(t *testing.T, b *Backend, n int, spans [][2]int, segments, lengths kernels.Tensor) [4][]float32 {
	t.Helper()
	rows := func(x []float32, heads int) kernels.Tensor {
		var all []float32
		for _, s := range spans {
			all = append(all, x[s[0]*heads*c.d:s[1]*heads*c.d]...)
			for range (n - (s[1] - s[0])) * heads * c.d {
				all = append(all, float32(math.NaN()))
			}
		}
		return put(t, b, ir.F32, all, "", len(spans), n, heads, c.d)
	}
	empty := func(heads int) kernels.Tensor { return put(t, b, ir.F32, nil, "", len(spans), n, heads, c.d) }
	in := []kernels.Tensor{rows(c.q, c.heads), rows(c.k, c.groups), rows(c.v, c.groups), {}, {}, segments, lengths}
	y, lse := empty(c.heads), put(t, b, ir.F32, nil, "", len(spans), n, c.heads)
	stats := c.at
	stats.Stats = true
	run(t, b, "attention", stats, in, y, lse)
	out := []kernels.Tensor{empty(c.heads), empty(c.groups), empty(c.groups)}
	if slices.ContainsFunc(spans, func(s [2]int) bool { return s[1]-s[0] < n }) {
		return [4][]float32{get(t, y)} // gradients of queries that are NaN are NaN
	}
	run(t, b, "attention_grad", c.at, append(in, y, lse, rows(c.dy, c.heads), kernels.Tensor{}), out...)
	return [4][]float32{get(t, y), get(t, out[0]), get(t, out[1]), get(t, out[2])}
}

// A sequence that is padded to the length of others has the bits that it has
// alone, though what follows it is NaN.
func TestPaddedBatch(t *testing.T) {
	const longest = 300
	spans := [][2]int{{0, 300}, {300, 301}, {301, 430}}
	for _, at := range []op.AttentionAttr{{}, {ALiBi: 8}, {Causal: true, Window: 50}} {
		c := newRagged(at, 430)
		for tier, b := range backends(t, 2) {
			lengths := put(t, b, ir.I32, []float32{300, 1, 129}, "", 3)
			all := c.run(t, b, longest, spans, kernels.Tensor{}, lengths)[0]
			for i, s := range spans {
				n := (s[1] - s[0]) * c.heads * c.d
				alone := c.run(t, b, s[1]-s[0], spans[i:i+1], kernels.Tensor{}, kernels.Tensor{})[0]
				sameBits(t, fmt.Sprintf("%s, %+v, sequence %d", tier, at, i), all[i*longest*c.heads*c.d:][:n], alone)
			}
		}
	}
}

// Documents that are packed into a row have the results and the gradients that
// they have alone, but for the order of sums.
func TestPackedDocuments(t *testing.T) {
	const tokens = 420
	spans := [][2]int{{0, 3}, {3, 150}, {150, 151}, {151, 380}, {380, 420}}
	var numbers []float32
	for i, s := range spans {
		for range s[1] - s[0] {
			numbers = append(numbers, float32([]int{5, 2, 9, 0, 7}[i])) // in no order
		}
	}
	for _, at := range []op.AttentionAttr{{}, {Causal: true}, {Causal: true, Window: 40, ALiBi: 8, Softcap: 3}} {
		c := newRagged(at, tokens)
		var want [4][]float32
		for tier, b := range backends(t, 2) {
			packed := c.run(t, b, tokens, [][2]int{{0, tokens}}, put(t, b, ir.I32, numbers, "", 1, tokens), kernels.Tensor{})
			var alone [4][]float32
			for i := range spans {
				for k, x := range c.run(t, b, spans[i][1]-spans[i][0], spans[i:i+1], kernels.Tensor{}, kernels.Tensor{}) {
					alone[k] = append(alone[k], x...)
				}
			}
			for k := range packed {
				what := fmt.Sprintf("%s, %+v, result %d", tier, at, k)
				if want[k] == nil {
					want[k] = packed[k]
				}
				sameBits(t, what, packed[k], want[k])
				for i, x := range packed[k] {
					if y := alone[k][i]; !(math.Abs(float64(x-y)) <= 1e-5*max(1, math.Abs(float64(y)))) {
						t.Fatalf("%s: element %d is %v, alone %v", what, i, x, y)
					}
				}
			}
		}
	}
}
