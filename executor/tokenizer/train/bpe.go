package train

import "strings"

// trainWordPiece finds the tokens as trainBPE does; the merges are not needed.
func trainWordPiece(r *run) (*model, error) {
	m, err := trainBPE(r)
	if m != nil {
		m.merges = nil
	}
	return m, err
}

// trainBPE merges the most frequent pair of neighbours until the vocabulary is full or no pair is frequent enough. Of
// equally frequent pairs the one with the lower left id, then the lower right id, comes first.
func trainBPE(r *run) (*model, error) {
	v := newVocabulary(&r.Attr)
	symbols, starts, err := r.symbols(v)
	if err != nil {
		return nil, err
	}
	m := newMerger(r, symbols, starts)
	for pair := range m.counts.pairs {
		m.enqueue(int32(pair))
	}
	m.queue.order()
	least := max(int64(r.MinFrequency), 1)
	var merges [][3]int32 // left, right, result
	for len(v.tokens) < r.VocabSize && len(m.queue) > 0 {
		top := m.queue.pop()
		if now := m.counts.pairs[top.pair].count; now != top.count {
			top.count = now
			m.queue.push(top)
			continue
		}
		if top.count < least {
			break
		}
		left, right := int32(top.key>>32), int32(uint32(top.key))
		id := v.enter(v.tokens[left] + strings.TrimPrefix(v.tokens[right], r.Prefix))
		merges = append(merges, [3]int32{left, right, id})
		m.merge(top, left, right, id)
		if len(merges)%256 == 0 {
			if err := r.progress("merges", int64(len(v.tokens)), int64(r.VocabSize)); err != nil {
				return nil, err
			}
		}
	}
	if err := r.progress("merges", int64(len(v.tokens)), int64(len(v.tokens))); err != nil {
		return nil, err
	}
	return &model{tokens: v.tokens, merges: lasting(merges)}, nil
}

// lasting drops all but the last of merges of the same pair: a pair can come twice where two ways lead to one token.
func lasting(merges [][3]int32) [][2]int32 {
	last := map[[2]int32]int{}
	for i, m := range merges {
		last[[2]int32{m[0], m[1]}] = i
	}
	out := make([][2]int32, 0, len(last))
	for i, m := range merges {
		if pair := [2]int32{m[0], m[1]}; last[pair] == i {
			out = append(out, pair)
		}
	}
	return out
}
