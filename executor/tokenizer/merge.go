package tokenizer

// shortWord is the number of symbols up to which looking through all merges each time beats keeping a queue.
const shortWord = 32

// merge makes of the symbols s.ids what they become. Where s.lens has the length of each, that is kept up. Cost: n log n
// for n symbols.
func (t *pairTable) merge(s *scratch) {
	if len(s.ids) <= shortWord && t.spare == nil {
		t.mergeShort(s)
	} else {
		t.mergeLong(s)
	}
}

// mergeShort keeps the merge of every two neighbours beside them and takes the lowest, until there is none.
func (t *pairTable) mergeShort(s *scratch) {
	ids, lens, merges := s.ids, s.lens, s.merges[:0]
	for i := 1; i < len(ids); i++ {
		merges = append(merges, t.find(ids[i-1], ids[i]))
	}
	s.merges = merges
	for len(merges) > 0 {
		at, low := 0, merges[0]
		for i, m := range merges {
			if m>>32 < low>>32 {
				at, low = i, m
			}
		}
		if low == noMerge {
			break
		}
		ids[at] = int32(uint32(low))
		copy(ids[at+1:], ids[at+2:])
		ids = ids[:len(ids)-1]
		if len(lens) > 0 {
			lens[at] += lens[at+1]
			copy(lens[at+1:], lens[at+2:])
			lens = lens[:len(lens)-1]
		}
		copy(merges[at:], merges[at+1:])
		merges = merges[:len(merges)-1]
		if at > 0 {
			merges[at-1] = t.find(ids[at-1], ids[at])
		}
		if at < len(merges) {
			merges[at] = t.find(ids[at], ids[at+1])
		}
	}
	s.ids, s.lens = ids, lens
}

// mergeLong links the symbols and queues the merges by rank, then place. A queued merge is stale, and dropped, when
// the symbols at its place have meanwhile become others.
func (t *pairTable) mergeLong(s *scratch) {
	ids, n := s.ids, int32(len(s.ids))
	s.prev, s.next, s.queue = s.prev[:0], s.next[:0], s.queue[:0]
	for i := range n {
		s.prev, s.next = append(s.prev, i-1), append(s.next, i+1)
	}
	q := &s.queue
	for i := range n - 1 {
		if m := t.find(ids[i], ids[i+1]); m != noMerge {
			*q = append(*q, m&^0xFFFFFFFF|uint64(i))
			t.spare.note(s, ids[i], ids[i+1], m)
		}
	}
	q.order()
	for len(*q) > 0 {
		top := q.pop()
		at := int32(uint32(top))
		right := s.next[at]
		if ids[at] < 0 || right == n {
			continue
		}
		m := t.find(ids[at], ids[right])
		if m>>32 != top>>32 {
			continue
		}
		ids[at], ids[right] = int32(uint32(m)), -1
		if len(s.lens) > 0 {
			s.lens[at] += s.lens[right]
		}
		after := s.next[right]
		s.next[at] = after
		if before := s.prev[at]; before >= 0 {
			t.offer(s, before, at)
		}
		if after < n {
			s.prev[after] = at
			t.offer(s, at, after)
		}
	}
	k := 0
	for i := int32(0); i < n; i = s.next[i] {
		ids[k] = ids[i]
		if len(s.lens) > 0 {
			s.lens[k] = s.lens[i]
		}
		k++
	}
	s.ids, s.lens = ids[:k], s.lens[:min(k, len(s.lens))]
}

// offer queues the merge of two neighbours, if there is one.
func (t *pairTable) offer(s *scratch, left, right int32) {
	if m := t.find(s.ids[left], s.ids[right]); m != noMerge {
		s.queue.push(m&^0xFFFFFFFF | uint64(left))
		t.spare.note(s, s.ids[left], s.ids[right], m)
	}
}

// spare tells of pieces that merges go through but that no text becomes: they are taken apart again, as they were last
// offered.
type spare []bool

func (p spare) note(s *scratch, left, right int32, merge uint64) {
	if id := int32(uint32(merge)); p != nil && int(id) < len(p) && p[id] {
		s.splits[id] = [2]int32{left, right}
	}
}

// queue is a heap of four children a node, the least number on top.
type queue []uint64

func (q queue) order() {
	for i := (len(q) - 2) / 4; i >= 0 && len(q) > 1; i-- {
		q.down(i)
	}
}

func (q *queue) push(x uint64) {
	h := append(*q, x)
	i := len(h) - 1
	for i > 0 && h[(i-1)/4] > x {
		h[i] = h[(i-1)/4]
		i = (i - 1) / 4
	}
	h[i] = x
	*q = h
}

func (q *queue) pop() uint64 {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	if last > 1 {
		h.down(0)
	}
	*q = h
	return top
}

func (q queue) down(i int) {
	x := q[i]
	for {
		child := 4*i + 1
		if child >= len(q) {
			break
		}
		for c := child + 1; c < min(4*i+5, len(q)); c++ {
			if q[c] < q[child] {
				child = c
			}
		}
		if q[child] >= x {
			break
		}
		q[i] = q[child]
		i = child
	}
	q[i] = x
}
