package compiler

import (
	"container/heap"

	"pipe.dev/compiler/ir"
)

// schedule orders the nodes of a bound graph so that little memory is in use
// at a time: of the nodes that are ready, the one that frees most goes first.
// The document's order stays where that is no better.
func schedule(c *context, g *ir.Graph) (*ir.Graph, error) {
	order := c.leastMemory(g)
	if c.peak(g, order) >= c.peak(g, g.Nodes) {
		return g, nil
	}
	out := &ir.Graph{Inputs: g.Inputs, Outputs: g.Outputs, States: g.States}
	out.Nodes = order
	for i, n := range order {
		n.ID = i
	}
	return out, nil
}

// leastMemory is a greedy order.
func (c *context) leastMemory(g *ir.Graph) []*ir.Node {
	users := make([][]int, len(g.Nodes))
	waits := make([]int, len(g.Nodes))
	edge := func(from, to int) {
		users[from] = append(users[from], to)
		waits[to]++
	}
	reads := map[ir.Value]int{}
	for i, n := range g.Nodes {
		for _, v := range n.In {
			if v.Valid() {
				edge(v.Node.ID, i)
				reads[v]++
			}
		}
	}
	for i, n := range g.Nodes {
		for _, before := range c.waits[n] {
			edge(before.ID, i)
		}
	}
	for _, s := range g.States { // who reads a state goes before who writes it
		if !s.Next.Valid() {
			continue
		}
		writer := s.Next.Node.ID
		for _, i := range users[s.Read.Node.ID] {
			if i < writer {
				edge(i, writer)
			}
		}
	}
	q := &readyQueue{gain: func(n *ir.Node) int64 {
		gain := -c.bytesOf(n)
		for _, v := range n.In {
			if v.Valid() && reads[v] == 1 && v.Node.Op != ir.OpState && v.Node.Op != ir.OpInput {
				gain += v.Type().Bytes()
			}
		}
		return gain
	}}
	for i, n := range g.Nodes {
		if waits[i] == 0 {
			heap.Push(q, n)
		}
	}
	order := make([]*ir.Node, 0, len(g.Nodes))
	for q.Len() > 0 {
		n := heap.Pop(q).(*ir.Node)
		order = append(order, n)
		for _, v := range n.In {
			if v.Valid() {
				reads[v]--
			}
		}
		for _, i := range users[n.ID] {
			if waits[i]--; waits[i] == 0 {
				heap.Push(q, g.Nodes[i])
			}
		}
	}
	return order
}

// readyQueue gives the node that frees most, and of equals the first one.
type readyQueue struct {
	nodes []*ir.Node
	gains []int64 // when the node became ready
	gain  func(*ir.Node) int64
}

func (q *readyQueue) Len() int { return len(q.nodes) }
func (q *readyQueue) Less(i, j int) bool {
	if q.gains[i] != q.gains[j] {
		return q.gains[i] > q.gains[j]
	}
	return q.nodes[i].ID < q.nodes[j].ID
}
func (q *readyQueue) Swap(i, j int) {
	q.nodes[i], q.nodes[j] = q.nodes[j], q.nodes[i]
	q.gains[i], q.gains[j] = q.gains[j], q.gains[i]
}
func (q *readyQueue) Push(x any) {
	n := x.(*ir.Node)
	q.nodes, q.gains = append(q.nodes, n), append(q.gains, q.gain(n))
}
func (q *readyQueue) Pop() any {
	end := len(q.nodes) - 1
	n := q.nodes[end]
	q.nodes, q.gains = q.nodes[:end], q.gains[:end]
	return n
}

// bytesOf is the new memory a node needs for its outputs.
func (c *context) bytesOf(n *ir.Node) int64 {
	if n.Op == ir.OpState || c.isView(n) {
		return 0
	}
	var sum int64
	for _, t := range n.Types {
		sum += t.Bytes()
	}
	return sum
}

// peak estimates the most memory in use at a time, for an order of g's nodes.
func (c *context) peak(g *ir.Graph, order []*ir.Node) int64 {
	end := map[*ir.Node]int{}
	for i, n := range order {
		end[n] = i
		for _, v := range n.In {
			if v.Valid() {
				end[v.Node] = i
			}
		}
	}
	for i := len(order) - 1; i >= 0; i-- { // a view keeps what it views
		if n := order[i]; c.isView(n) {
			end[n.In[0].Node] = max(end[n.In[0].Node], end[n])
		}
	}
	for _, o := range g.Outputs {
		end[o.Value.Node] = len(order)
	}
	free := make([]int64, len(order)+1)
	for n, i := range end {
		free[i] += c.bytesOf(n)
	}
	var now, most int64
	for i, n := range order {
		now += c.bytesOf(n)
		most = max(most, now)
		now -= free[i]
	}
	return most
}
