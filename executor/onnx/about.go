package onnx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Ops counts the nodes of every kind, those in branches and bodies too.
func (m *Model) Ops() map[string]int {
	count := map[string]int{}
	var walk func(g *Graph)
	walk = func(g *Graph) {
		for i := range g.Nodes {
			name := g.Nodes[i].Op
			if d := g.Nodes[i].Domain; d != "" && d != "ai.onnx" {
				name = d + "." + name
			}
			count[name]++
			for inner := range g.Nodes[i].Graphs() {
				walk(inner)
			}
		}
	}
	walk(&m.Graph)
	return count
}

// About says in short texts what a model is, by topic.
func (m *Model) About() map[string]string {
	about := maps.Clone(m.Metadata)
	about["onnx.ir_version"] = fmt.Sprint(m.IR)
	about["onnx.graph"] = m.Graph.Name
	if m.Producer != "" {
		about["onnx.producer"] = m.Producer
	}
	var sets, ops []string
	for _, d := range slices.Sorted(maps.Keys(m.Opsets)) {
		sets = append(sets, strings.TrimSpace(fmt.Sprintf("%s %d", d, m.Opsets[d])))
	}
	about["onnx.opset"] = strings.Join(sets, ", ")
	count := m.Ops()
	for _, op := range slices.Sorted(maps.Keys(count)) {
		ops = append(ops, fmt.Sprintf("%s %d", op, count[op]))
	}
	about["onnx.ops"] = strings.Join(ops, ", ")
	for i, v := range m.Graph.Inputs {
		if _, ok := m.Graph.values[v.Name]; !ok { // older files list initializers, too
			about[fmt.Sprintf("onnx.input.%d", i)] = v.String()
		}
	}
	for i, v := range m.Graph.Outputs {
		about[fmt.Sprintf("onnx.output.%d", i)] = v.String()
	}
	return about
}

func (v Value) String() string {
	return fmt.Sprintf("%s %s[%s]", v.Name, v.DType, strings.Join(v.Shape, ", "))
}
