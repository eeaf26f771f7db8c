package tokenizer

import (
	"hash/maphash"
	"sync/atomic"
)

const (
	cacheSlots    = 1 << 15
	longestCached = 64 // bytes of a word
)

// wordCache remembers the ids of words. Each word has one slot and replaces what was there, so that the cache holds
// at most cacheSlots words of longestCached bytes; slots are read and written atomically, without locks.
type wordCache struct {
	seed  maphash.Seed
	slots [cacheSlots]cacheSlot
}

type cacheSlot struct{ p atomic.Pointer[cachedWord] }

type cachedWord struct {
	word string
	ids  []int32
}

func newWordCache() *wordCache { return &wordCache{seed: maphash.MakeSeed()} }

// find returns the word's slot, and its ids if they are there.
func (c *wordCache) find(word string) (*cacheSlot, []int32, bool) {
	slot := &c.slots[maphash.String(c.seed, word)%cacheSlots]
	if w := slot.p.Load(); w != nil && w.word == word {
		return slot, w.ids, true
	}
	return slot, nil, false
}

// keep puts copies of a word and its ids into the slot.
func (s *cacheSlot) keep(word string, ids []int32) {
	s.p.Store(&cachedWord{string([]byte(word)), append([]int32(nil), ids...)})
}
