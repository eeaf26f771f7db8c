package onnx

import (
	"os"
	"slices"
	"testing"
)

// The attributes and branches of nodes are what the script that made the file gave them.
func TestAttributes(t *testing.T) {
	data, err := os.ReadFile("../../testdata/golden/onnx/branches.onnx")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	find := func(g *Graph, op string) *Node {
		for i := range g.Nodes {
			if g.Nodes[i].Op == op {
				return &g.Nodes[i]
			}
		}
		t.Fatalf("there is no %s", op)
		return nil
	}
	if a := find(&m.Graph, "ReduceSum").Attribute("keepdims"); a == nil || a.Kind != Int || a.Int != 0 {
		t.Errorf("keepdims is %+v", a)
	}
	if a := find(&m.Graph, "Cast").Attribute("to"); a == nil || a.Kind != Int || a.Int != 9 {
		t.Errorf("to is %+v", a)
	}
	scalar := find(&m.Graph, "Constant").Attribute("value")
	if text, err := scalar.Tensor.Data(); err != nil || string(text) != "\x00\x00\x80\x3f" || scalar.Kind != Values {
		t.Errorf("the scalar is % x, %v", text, err)
	}
	branch := find(&m.Graph, "If").Attribute("then_branch")
	if branch == nil || branch.Kind != Body || len(branch.Graphs) != 1 || find(branch.Graphs[0], "Constant").Attribute("value").Tensor.Name != "z.then_branch.c" {
		t.Errorf("then_branch is %+v", branch)
	}
	if n := slices.Collect(find(&m.Graph, "If").Graphs()); len(n) != 2 {
		t.Errorf("%d graphs, want 2", len(n))
	}
	i, ok := m.Graph.Initializer("w")
	if !ok || m.Tensors[i].Name != "w" {
		t.Errorf("initializer w is %d, %v", i, ok)
	}
}
