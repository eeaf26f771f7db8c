package ir

import (
	"slices"
	"testing"
)

// node adds a node of a block that reads others.
func node(g *Graph, block string, in ...*Node) *Node {
	n := &Node{Op: "op", Types: []Type{T(F32, 1)}, Pos: Pos{Block: block}}
	for _, x := range in {
		n.In = append(n.In, Value{Node: x})
	}
	g.Add(n)
	return n
}

// A layer comes behind those that it reads from, also by way of what lies in none, though the graph begins it
// before; layers that read each other are as the graph has them.
func TestBlocks(t *testing.T) {
	g := &Graph{}
	begun := node(g, "decoder.0")
	first := node(g, "encoder.0")
	norm := node(g, "", node(g, "encoder.1", first))
	node(g, "decoder.1", node(g, "decoder.0", begun, norm))
	if got, want := g.Blocks(), []string{"encoder.0", "encoder.1", "decoder.0", "decoder.1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	g = &Graph{}
	b := node(g, "b", node(g, "a"))
	node(g, "c", node(g, "a", b))
	if got, want := g.Blocks(), []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What is hoisted stands right behind what it reads, in the order in which it was.
func TestHoist(t *testing.T) {
	g := &Graph{}
	a := node(g, "a")
	b := node(g, "b", a)
	node(g, "c", b)
	ofA := node(g, "a1", a)
	node(g, "b1", ofA, b)
	node(g, "a2", ofA)
	node(g, "free")
	g.Hoist(3)
	var got []string
	for i, n := range g.Nodes {
		if got = append(got, n.Pos.Block); n.ID != i {
			t.Errorf("%s has number %d at %d", n.Pos.Block, n.ID, i)
		}
	}
	if want := []string{"free", "a", "a1", "a2", "b", "b1", "c"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
