package onnx

import "fmt"

// sorted proves that every node reads only what is there before it, as ONNX
// demands; so there are no cycles. outer are names from around the graph, and
// is left as it was.
func (g *Graph) sorted(outer map[string]bool) error {
	mine := map[string]bool{"": true}
	for name := range g.values {
		mine[name] = true
	}
	for _, v := range g.Inputs {
		mine[v.Name] = true
	}
	var added []string
	for name := range mine {
		if !outer[name] {
			outer[name] = true
			added = append(added, name)
		}
	}
	defer func() {
		for _, name := range added {
			delete(outer, name)
		}
	}()
	for i := range g.Nodes {
		n := &g.Nodes[i]
		for _, in := range n.In {
			if !outer[in] {
				return fmt.Errorf("node %.80s reads %.60q, which nothing before it makes: the graph has a cycle, or is not in order", n, in)
			}
		}
		for inner := range n.Graphs() {
			if err := inner.sorted(outer); err != nil {
				return err
			}
		}
		for _, out := range n.Out {
			if !outer[out] {
				outer[out] = true
				added = append(added, out)
			}
		}
	}
	return nil
}
