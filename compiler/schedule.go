package compiler

import (
	"container/heap"
	"slices"

	"pipe.dev/compiler/ir"
)

// schedule orders the nodes of a bound graph so that little memory is in use
// at a time: of the nodes that are ready, the one that frees most goes first, and
// what is made of states alone, as the narrow form of a weight, just before what
// reads it. The document's order stays where that is no better.
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
	late, before := c.lateNodes(g), make([][]*ir.Node, len(g.Nodes)) // before: the late ones that must come before a node
	readers := map[*ir.Node][]int{}                                  // of states
	edge := func(from, to int) {
		switch {
		case late[to] || g.Nodes[from].Op == ir.OpState:
		case late[from]:
			before[to] = append(before[to], g.Nodes[from])
		default:
			users[from] = append(users[from], to)
			waits[to]++
		}
	}
	reads := map[ir.Value]int{}
	for i, n := range g.Nodes {
		for _, v := range n.In {
			if v.Valid() {
				edge(v.Node.ID, i)
				reads[v]++
				if v.Node.Op == ir.OpState {
					readers[v.Node] = append(readers[v.Node], i)
				}
			}
		}
		for _, first := range c.waits[n] {
			edge(first.ID, i)
		}
	}
	for _, s := range g.States { // who reads a state goes before who writes it
		if !s.Next.Valid() {
			continue
		}
		writer := s.Next.Node.ID
		for _, i := range readers[s.Read.Node] {
			if i < writer {
				edge(i, writer)
			}
		}
	}
	q := &readyQueue{gain: func(n *ir.Node) int64 {
		gain := -c.bytesOf(n)
		for _, v := range n.In {
			switch {
			case !v.Valid() || v.Node.Op == ir.OpState || v.Node.Op == ir.OpInput:
			case late[v.Node.ID] && reads[v] > 1: // it is made then
				gain -= v.Type().Bytes()
			case !late[v.Node.ID] && reads[v] == 1:
				gain += v.Type().Bytes()
			}
		}
		return gain
	}}
	order := make([]*ir.Node, 0, len(g.Nodes))
	for i, n := range g.Nodes {
		switch {
		case late[i]:
		case n.Op == ir.OpState:
			order = append(order, n)
		case waits[i] == 0:
			heap.Push(q, n)
		}
	}
	made := make([]bool, len(g.Nodes))
	for q.Len() > 0 {
		n := heap.Pop(q).(*ir.Node)
		for _, first := range before[n.ID] {
			if !made[first.ID] {
				order, made[first.ID] = append(order, first), true
			}
		}
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

// lateNodes marks what needs nothing but states: it can be made at any time, and takes
// memory from then on.
func (c *context) lateNodes(g *ir.Graph) []bool {
	late := make([]bool, len(g.Nodes))
	for i, n := range g.Nodes {
		late[i] = n.Op != ir.OpState && n.Op != ir.OpInput && !c.isView(n) &&
			!slices.ContainsFunc(n.In, func(v ir.Value) bool { return v.Valid() && v.Node.Op != ir.OpState })
	}
	for _, o := range g.Outputs {
		late[o.Value.Node.ID] = false
	}
	for _, s := range g.States {
		if s.Next.Valid() {
			late[s.Next.Node.ID] = false
		}
	}
	return late
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
