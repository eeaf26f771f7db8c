package train

// pairCounts is what is known of each pair of neighbours, found by an open-addressing hash table that is never more
// than half full.
type pairCounts struct {
	pairs []pairCount
	slots []int32 // index into pairs + 1
	shift uint    // 64 - log2(len(slots))
}

type pairCount struct {
	key   uint64 // left id << 32 | right id
	count int64
	fresh int32 // list of the places that came since the pair was last queued, -1: none
}

func newPairCounts() pairCounts {
	const log = 12
	return pairCounts{slots: make([]int32, 1<<log), shift: 64 - log}
}

// at is the index of a pair, which is entered if it is new.
func (c *pairCounts) at(left, right int32) int32 {
	key := uint64(uint32(left))<<32 | uint64(uint32(right))
	i := c.slot(key)
	if n := c.slots[i]; n != 0 {
		return n - 1
	}
	if 2*len(c.pairs) >= len(c.slots) {
		c.slots, c.shift = make([]int32, 2*len(c.slots)), c.shift-1
		for n, p := range c.pairs {
			c.slots[c.slot(p.key)] = int32(n) + 1
		}
		i = c.slot(key)
	}
	c.pairs = append(c.pairs, pairCount{key: key, fresh: -1})
	c.slots[i] = int32(len(c.pairs))
	return int32(len(c.pairs)) - 1
}

// slot is where a pair stands or would stand.
func (c *pairCounts) slot(key uint64) uint64 {
	i := key * 0x9E3779B97F4A7C15 >> c.shift
	for n := c.slots[i]; n != 0 && c.pairs[n-1].key != key; n = c.slots[i] {
		i = (i + 1) & uint64(len(c.slots)-1)
	}
	return i
}

// candidate is a pair that may be merged in some words. Its count may be old.
type candidate struct {
	count  int64
	key    uint64
	pair   int32 // index into pairCounts
	places int32 // list of words
}

// before tells that a comes first: the more frequent, then the lower ids.
func (a candidate) before(b candidate) bool {
	return a.count > b.count || a.count == b.count && a.key < b.key
}

// queue is a heap of four children a node, the first candidate on top.
type queue []candidate

func (q queue) order() {
	for i := (len(q) - 2) / 4; i >= 0 && len(q) > 1; i-- {
		q.down(i)
	}
}

func (q *queue) push(c candidate) {
	*q = append(*q, c)
	q.up(len(*q) - 1)
}

func (q *queue) pop() candidate {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	*q = h[:last]
	if last > 1 {
		q.down(0)
	}
	return top
}

// up moves the candidate at i to its place towards the top.
func (q queue) up(i int) {
	c := q[i]
	for i > 0 && c.before(q[(i-1)/4]) {
		q[i] = q[(i-1)/4]
		i = (i - 1) / 4
	}
	q[i] = c
}

// down moves the candidate at i to its place away from the top.
func (q queue) down(i int) {
	c := q[i]
	for {
		child := 4*i + 1
		if child >= len(q) {
			break
		}
		for n := child + 1; n < min(4*i+5, len(q)); n++ {
			if q[n].before(q[child]) {
				child = n
			}
		}
		if !q[child].before(c) {
			break
		}
		q[i] = q[child]
		i = child
	}
	q[i] = c
}
