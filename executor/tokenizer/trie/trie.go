// Package trie finds which of many pieces a text starts with.
//
// Non-goals: changes after building; ranges or fuzzy matches.
package trie

import (
	"slices"
	"strings"
)

// Trie holds pieces by their bytes. The children of a node stand side by side, by label: 9 bytes a node in all.
// Any number of goroutines may use it at once.
type Trie struct {
	root  [256]int32 // children of the root, 0 where there is none
	first []int32    // first child of each node; the next node's is the end
	label []byte     // of the step to a node
	piece []int32    // that ends at a node, or -1
}

// Root is the node where every piece begins.
const Root int32 = 0

// span is a node to be built: the sorted pieces from lo to hi share their first depth bytes.
type span struct{ lo, hi, depth int }

// New builds the trie of pieces, each known by its index. Of equal pieces the last stands; the empty piece is never
// found.
func New(pieces []string) *Trie {
	order := make([]int32, len(pieces))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return strings.Compare(pieces[a], pieces[b]) })
	t := &Trie{label: []byte{0}}
	nodes := []span{{0, len(order), 0}} // in the order of breadth, so that children stand side by side
	for n := 0; n < len(nodes); n++ {
		at := nodes[n]
		t.first = append(t.first, int32(len(nodes)))
		t.piece = append(t.piece, -1)
		for at.lo < at.hi && len(pieces[order[at.lo]]) == at.depth {
			t.piece[n] = order[at.lo]
			at.lo++
		}
		for at.lo < at.hi {
			b := pieces[order[at.lo]][at.depth]
			end := at.lo + 1
			for end < at.hi && pieces[order[end]][at.depth] == b {
				end++
			}
			if n == 0 {
				t.root[b] = int32(len(nodes))
			}
			nodes = append(nodes, span{at.lo, end, at.depth + 1})
			t.label = append(t.label, b)
			at.lo = end
		}
	}
	t.first = append(t.first, int32(len(nodes)))
	return t
}

// few is the number of children up to which looking at each beats halving.
const few = 8

// Step is the node after one more byte, or -1 where no piece goes on so.
func (t *Trie) Step(node int32, b byte) int32 {
	if node == Root {
		if n := t.root[b]; n != 0 {
			return n
		}
		return -1
	}
	lo, hi := t.first[node], t.first[node+1]
	for hi-lo > few {
		if mid := (lo + hi) / 2; t.label[mid] <= b {
			lo = mid
		} else {
			hi = mid
		}
	}
	for ; lo < hi; lo++ {
		if t.label[lo] == b {
			return lo
		}
	}
	return -1
}

// Walk is the node after all bytes of s, or -1.
func (t *Trie) Walk(node int32, s string) int32 {
	for i := 0; i < len(s) && node >= 0; i++ {
		node = t.Step(node, s[i])
	}
	return node
}

// Piece is the index of the piece that ends at a node, or -1.
func (t *Trie) Piece(node int32) int32 { return t.piece[node] }
