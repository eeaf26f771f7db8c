package compiler

import (
	"cmp"
	"slices"
)

// arrange gives every block an offset so that blocks that live at the same
// time do not overlap, and returns the size of the whole. Large blocks go
// first, each to the lowest gap that fits it.
func arrange(blocks []*block, align int64) int64 {
	order := slices.Clone(blocks)
	slices.SortStableFunc(order, func(a, b *block) int {
		if c := cmp.Compare(b.bytes, a.bytes); c != 0 {
			return c
		}
		return cmp.Compare(a.start, b.start)
	})
	var placed []*block // sorted by offset
	var size int64
	for _, b := range order {
		if b.bytes == 0 {
			continue
		}
		need := roundUp(b.bytes, align)
		var at int64
		for _, other := range placed {
			if other.end < b.start || b.end < other.start {
				continue
			}
			if other.offset-at >= need {
				break
			}
			at = max(at, other.offset+roundUp(other.bytes, align))
		}
		b.offset = at
		size = max(size, at+need)
		i, _ := slices.BinarySearchFunc(placed, b, func(x, y *block) int { return cmp.Compare(x.offset, y.offset) })
		placed = slices.Insert(placed, i, b)
	}
	return size
}

func roundUp(n, align int64) int64 { return (n + align - 1) / align * align }
