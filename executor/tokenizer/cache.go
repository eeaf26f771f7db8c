package tokenizer

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
)

const (
	cacheSlots    = 1 << 15
	longestCached = 64 // bytes of a word
)

// wordCache remembers the ids of words. A word has two slots, the other one beside its own; it comes into its own,
// and what was there moves over to the other. So the cache holds at most cacheSlots words of longestCached bytes.
// Slots are read and written atomically, without locks.
type wordCache struct {
	seed  maphash.Seed
	slots [cacheSlots]atomic.Pointer[cachedWord]
}

type cachedWord struct {
	word string
	ids  []int32
}

func newWordCache() *wordCache { return &wordCache{seed: maphash.MakeSeed()} }

// find returns the word's slot, and its ids if they are known.
func (c *wordCache) find(word string) (slot uint64, ids []int32, ok bool) {
	slot = maphash.String(c.seed, word) % cacheSlots
	if w := c.slots[slot].Load(); w != nil && w.word == word {
		return slot, w.ids, true
	}
	if w := c.slots[slot^1].Load(); w != nil && w.word == word {
		return slot, w.ids, true
	}
	return slot, nil, false
}

// keep puts copies of a word and its ids into its slot.
func (c *wordCache) keep(slot uint64, word string, ids []int32) {
	if w := c.slots[slot].Load(); w != nil {
		c.slots[slot^1].Store(w)
	}
	c.slots[slot].Store(&cachedWord{strings.Clone(word), slices.Clone(ids)})
}
