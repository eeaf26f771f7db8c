package onnx

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// step is a node that is to be written.
type step struct {
	kind     string
	in, out  []string
	settings []setting
}

// emit adds a node with given names of its results; the first is its own, too.
func (x *exporter) emit(kind string, in, out []string, settings ...setting) {
	x.nodes = append(x.nodes, step{kind, in, out, settings})
}

// encode is the NodeProto of a step.
func (x *exporter) encode(n step) encoded {
	var m encoded
	for field, list := range [][]string{n.in, n.out} {
		for _, name := range list {
			if to := x.renamed[name]; to != "" {
				name = to
			}
			m.text(protowire.Number(field+1), name)
		}
	}
	m.text(3, n.out[0])
	m.text(4, n.kind)
	for _, s := range n.settings {
		m.part(5, s)
	}
	return m
}

// add adds a node of one result, and gives its name.
func (x *exporter) add(kind string, in []string, settings ...setting) string {
	path := x.path + "/"
	if kind == "Constant" {
		path = "" // many may read it
	}
	out := x.unique(path + kind)
	x.emit(kind, in, []string{out}, settings...)
	return out
}

// bytes is how large a single file would be, but for a few bytes of each weight.
func (x *exporter) bytes() int64 {
	size := int64(0)
	for _, s := range x.g.States {
		size += s.Read.Type().Bytes()
	}
	for _, n := range x.nodes {
		size += int64(len(x.encode(n)))
	}
	return size
}

// body is a GraphProto without its initializers.
func (x *exporter) body(name string) encoded {
	var m encoded
	for _, n := range x.nodes {
		m.part(1, x.encode(n))
	}
	m.text(2, strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, name))
	for _, v := range x.inputs {
		m.part(11, v)
	}
	for _, v := range x.outputs {
		m.part(12, v)
	}
	return m
}
