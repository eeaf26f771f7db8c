package ir

import "slices"

// Blocks lists the layers of stacks that nodes lie in: each behind those that it reads from, else in the order
// in which the graph begins them. (A layer of a decoder may begin before the encoder that it reads later.)
func (g *Graph) Blocks() []string {
	list, reads := g.blockReads()
	for i := range list { // the first of the rest that waits for none of the rest
		ready := slices.IndexFunc(list[i:], func(b string) bool {
			return !slices.ContainsFunc(list[i:], func(other string) bool { return reads[b][other] })
		})
		if ready <= 0 { // in its place already; or layers read each other, and are as the graph has them
			continue
		}
		b := list[i+ready]
		list = slices.Insert(slices.Delete(list, i+ready, i+ready+1), i, b)
	}
	return list
}

// blockReads lists the layers of stacks in the order in which the graph begins them, and those
// that each reads from, straight or by way of nodes that lie in none.
func (g *Graph) blockReads() (list []string, reads map[string]map[string]bool) {
	reads = map[string]map[string]bool{}
	of := make([][]string, len(g.Nodes)) // the layers whose values a node has
	for i, n := range g.Nodes {
		b := n.Pos.Block
		if b != "" && reads[b] == nil {
			list, reads[b] = append(list, b), map[string]bool{}
		}
		for _, v := range n.In {
			if !v.Valid() {
				continue
			}
			for _, from := range of[v.Node.ID] {
				if b != "" && from != b {
					reads[b][from] = true
				}
				if b == "" && !slices.Contains(of[i], from) {
					of[i] = append(of[i], from)
				}
			}
		}
		if b != "" {
			of[i] = []string{b}
		}
	}
	return list, reads
}
