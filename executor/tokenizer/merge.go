package tokenizer

// shortWord is the number of symbols up to which looking through all merges each time beats keeping a queue.
const shortWord = 32

// merge appends to dst what the symbols s.ids become. Cost: n log n for n symbols.
func (t *pairTable) merge(s *scratch, dst []int32) []int32 {
	if len(s.ids) <= shortWord {
		return t.mergeShort(s, dst)
	}
	return t.mergeLong(s, dst)
}

// mergeShort keeps the merge of every two neighbours beside them and takes the lowest, until there is none.
func (t *pairTable) mergeShort(s *scratch, dst []int32) []int32 {
	ids, merges := s.ids, s.merges[:0]
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
		copy(merges[at:], merges[at+1:])
		merges = merges[:len(merges)-1]
		if at > 0 {
			merges[at-1] = t.find(ids[at-1], ids[at])
		}
		if at < len(merges) {
			merges[at] = t.find(ids[at], ids[at+1])
		}
	}
	return append(dst, ids...)
}

// mergeLong links the symbols and queues the merges by rank, then place. A queued merge is stale, and dropped, when
// the symbols at its place have meanwhile become others.
func (t *pairTable) mergeLong(s *scratch, dst []int32) []int32 {
	ids, n := s.ids, int32(len(s.ids))
	s.prev, s.next = s.prev[:0], s.next[:0]
	q := queue(s.queue[:0])
	for i := range n {
		s.prev, s.next = append(s.prev, i-1), append(s.next, i+1)
		if i+1 < n {
			if m := t.find(ids[i], ids[i+1]); m != noMerge {
				q = append(q, m&^0xFFFFFFFF|uint64(i))
			}
		}
	}
	prev, next := s.prev, s.next
	q.order()
	for len(q) > 0 {
		top := q.pop()
		at := int32(uint32(top))
		right := next[at]
		if ids[at] < 0 || right == n {
			continue
		}
		m := t.find(ids[at], ids[right])
		if m>>32 != top>>32 {
			continue
		}
		ids[at], ids[right] = int32(uint32(m)), -1
		after := next[right]
		next[at] = after
		if after < n {
			prev[after] = at
			if m := t.find(ids[at], ids[after]); m != noMerge {
				q.push(m&^0xFFFFFFFF | uint64(at))
			}
		}
		if before := prev[at]; before >= 0 {
			if m := t.find(ids[before], ids[at]); m != noMerge {
				q.push(m&^0xFFFFFFFF | uint64(before))
			}
		}
	}
	s.queue = q
	for i := int32(0); i < n; i = next[i] {
		dst = append(dst, ids[i])
	}
	return dst
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
