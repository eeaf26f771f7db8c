package train

// merger keeps words as symbols and knows how often every pair of neighbours occurs, and where.
type merger struct {
	symbols []int32
	lengths []int32 // characters of each symbol; nil where none are too long
	longest int32
	start   []int   // of each word in symbols
	size    []int32 // of each word
	times   []int64 // that each word occurs
	counts  pairCounts
	places  []place
	free    int32 // list of places no longer used
	changed []int32
	queue   queue
}

// place is an item of a list of words.
type place struct{ word, next int32 }

// newMerger counts the pairs of the words: word i is symbols[starts[i]:starts[i+1]].
func newMerger(r *run, symbols []int32, starts []int) *merger {
	n := len(r.words)
	m := &merger{
		symbols: symbols, start: starts[:n], size: make([]int32, n), times: make([]int64, n), counts: newPairCounts(), free: -1,
		longest: int32(r.MaxTokenLength),
	}
	if m.longest > 0 {
		m.lengths = make([]int32, len(symbols))
		for i := range m.lengths {
			m.lengths[i] = 1
		}
	}
	for w := range n {
		m.size[w], m.times[w] = int32(starts[w+1]-starts[w]), r.words[w].count
		word := symbols[starts[w]:starts[w+1]]
		for i := 1; i < len(word); i++ {
			m.add(word[i-1], word[i], int32(w))
		}
	}
	return m
}

// add counts a new pair of neighbours in a word.
func (m *merger) add(left, right, word int32) {
	i := m.counts.at(left, right)
	p := &m.counts.pairs[i]
	p.count += m.times[word]
	if p.fresh < 0 {
		m.changed = append(m.changed, i)
	} else if m.places[p.fresh].word == word {
		return
	}
	at := m.free
	if at >= 0 {
		m.free = m.places[at].next
	} else {
		at = int32(len(m.places))
		m.places = append(m.places, place{})
	}
	m.places[at] = place{word, p.fresh}
	p.fresh = at
}

// enqueue puts a pair with its new places into the queue, at the end of it.
func (m *merger) enqueue(i int32) {
	p := &m.counts.pairs[i]
	if p.count > 0 {
		m.queue = append(m.queue, candidate{p.count, p.key, i, p.fresh})
	}
	p.fresh = -1
}

// merge makes one symbol of a pair in the words that the candidate has.
func (m *merger) merge(c candidate, left, right, id int32) {
	m.changed = m.changed[:0]
	for at := c.places; at >= 0; {
		p := m.places[at]
		m.places[at].next = m.free
		m.free = at
		at = p.next
		m.mergeWord(p.word, left, right, id)
	}
	for _, i := range m.changed {
		m.enqueue(i)
		if n := len(m.queue); n > 0 {
			m.queue.up(n - 1)
		}
	}
}

// mergeWord replaces the pair in a word, from left to right, and counts its neighbours anew.
func (m *merger) mergeWord(w, left, right, id int32) {
	from := m.start[w]
	word := m.symbols[from : from+int(m.size[w])]
	var lengths []int32
	if m.lengths != nil {
		lengths = m.lengths[from:]
	}
	fits := func(i int, length int32) bool { return lengths == nil || lengths[i]+length < m.longest }
	n := 0
	for i := 0; i < len(word); n++ {
		if word[i] != left || i+1 == len(word) || word[i+1] != right {
			word[n] = word[i]
			if lengths != nil {
				lengths[n] = lengths[i]
			}
			i++
			continue
		}
		length := int32(0)
		if lengths != nil {
			length = lengths[i] + lengths[i+1]
		}
		if n > 0 {
			m.drop(word[n-1], left, w)
			if fits(n-1, length) {
				m.add(word[n-1], id, w)
			}
		}
		if i += 2; i < len(word) {
			m.drop(right, word[i], w)
			if fits(i, length) {
				m.add(id, word[i], w)
			}
		}
		word[n] = id
		if lengths != nil {
			lengths[n] = length
		}
	}
	m.size[w] = int32(n)
}

// drop counts a pair of neighbours that is no more.
func (m *merger) drop(left, right, word int32) {
	m.counts.pairs[m.counts.at(left, right)].count -= m.times[word]
}
