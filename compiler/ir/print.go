package ir

import (
	"fmt"
	"reflect"
	"strings"
)

// String prints the graph, one node a line:
//
//	%3 = add(%1, %2) f32[batch,seq,64]  # model.layers.0.h
//
// Attributes stand in braces. The text is stable, so that two graphs can be
// compared with diff.
func (g *Graph) String() string {
	var b strings.Builder
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "%%%d = %s", n.ID, n.Op)
		if n.Attr != nil {
			b.WriteString(AttrString(n.Attr))
		}
		if n.Op != OpInput && n.Op != OpState {
			b.WriteByte('(')
			for i, v := range n.In {
				if i > 0 {
					b.WriteString(", ")
				}
				b.WriteString(v.String())
			}
			b.WriteByte(')')
		}
		for _, t := range n.Types {
			b.WriteByte(' ')
			b.WriteString(t.String())
		}
		if n.Pos.Path != "" {
			b.WriteString("  # " + n.Pos.Path)
		}
		b.WriteByte('\n')
	}
	for _, s := range g.States {
		if s.Next.Valid() {
			fmt.Fprintf(&b, "next %s %s = %v\n", s.Kind, s.Path, s.Next)
		}
	}
	for _, o := range g.Outputs {
		fmt.Fprintf(&b, "output %s = %v\n", o.Name, o.Value)
	}
	return b.String()
}

// AttrString prints an attribute struct as "{eps=1e-05 axis=-1}", leaving out
// fields that are zero.
func AttrString(attr any) string {
	v := reflect.ValueOf(attr)
	if v.Kind() != reflect.Struct {
		return fmt.Sprintf("{%v}", attr)
	}
	var parts []string
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			parts = append(parts, fmt.Sprintf("%s=%v", strings.ToLower(v.Type().Field(i).Name), f.Interface()))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "{" + strings.Join(parts, " ") + "}"
}
