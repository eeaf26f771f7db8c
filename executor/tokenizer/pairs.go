package tokenizer

import "math/bits"

// pairTable maps a pair of ids to the rank and the result of its merge. It is an open-addressing hash table, never
// more than half full.
type pairTable struct {
	slots []pairSlot
	shift uint // 64 - log2(len(slots))
	spare spare
}

type pairSlot struct {
	pair  uint64 // left id << 32 | right id
	merge uint64 // rank << 32 | id; noMerge in an empty slot
}

// noMerge is above every merge, so that the lowest of some merges is their minimum.
const noMerge = 1<<64 - 1

func newPairTable(n int) pairTable {
	log := uint(bits.Len(uint(2*n))) + 1
	t := pairTable{slots: make([]pairSlot, 1<<log), shift: 64 - log}
	for i := range t.slots {
		t.slots[i].merge = noMerge
	}
	return t
}

func pairOf(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// set enters a merge; of two for one pair the later stands.
func (t *pairTable) set(left, right, rank, id int32) {
	pair := pairOf(left, right)
	i := pair * 0x9E3779B97F4A7C15 >> t.shift
	for t.slots[i].merge != noMerge && t.slots[i].pair != pair {
		i = (i + 1) & uint64(len(t.slots)-1)
	}
	t.slots[i] = pairSlot{pair, pairOf(rank, id)}
}

// find returns rank << 32 | id of the merge of two symbols, or noMerge.
func (t *pairTable) find(left, right int32) uint64 {
	pair := pairOf(left, right)
	i := pair * 0x9E3779B97F4A7C15 >> t.shift
	for {
		s := &t.slots[i]
		if s.pair == pair || s.merge == noMerge {
			return s.merge
		}
		i = (i + 1) & uint64(len(t.slots)-1)
	}
}
