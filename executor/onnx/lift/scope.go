package lift

import (
	"pipe.dev/executor/onnx"
)

// scope holds the values of a graph by name.
type scope struct {
	outer  *scope
	values map[string]*value
	uses   map[string]int // how many inputs of nodes and outputs of the graph each name is
	reader map[string]*onnx.Node
	init   *onnx.Graph
	attrs  map[string]*onnx.Attribute // of the function around
	opset  int64
	done   map[*onnx.Node]bool // lifted together with another
	alias  map[string]string   // outputs of those by whose they are
}

func newScope(outer *scope, g *onnx.Graph, opset int64) *scope {
	s := &scope{outer: outer, values: map[string]*value{}, uses: map[string]int{}, reader: map[string]*onnx.Node{}, init: g, opset: opset, done: map[*onnx.Node]bool{}, alias: map[string]string{}}
	if outer != nil {
		s.attrs = outer.attrs
	}
	s.count(g)
	return s
}

// count counts the uses of names, those in branches too.
func (s *scope) count(g *onnx.Graph) {
	for i := range g.Nodes {
		n := &g.Nodes[i]
		for _, in := range n.In {
			s.uses[in]++
			s.reader[in] = n
		}
		for inner := range n.Graphs() {
			s.count(inner)
		}
	}
	for _, out := range g.Outputs {
		s.uses[out.Name]++
	}
}

// lookup finds a value, here or around; nil if there is none.
func (s *scope) lookup(name string) *value {
	for at := s; at != nil; at = at.outer {
		if v, ok := at.values[name]; ok {
			return v
		}
	}
	return nil
}
