package onnx

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"pipe.dev/compiler/ir"
)

// encoded is a message of protocol buffers that is written. Numbers of fields
// are those of onnx.proto.
type encoded []byte

// number appends a field of a whole number.
func (m *encoded) number(field protowire.Number, v int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

// float appends a field of 32 bits.
func (m *encoded) float(field protowire.Number, v float32) {
	*m = protowire.AppendFixed32(protowire.AppendTag(*m, field, protowire.Fixed32Type), math.Float32bits(v))
}

// text appends a field of text.
func (m *encoded) text(field protowire.Number, s string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), s)
}

// part appends a message within this one.
func (m *encoded) part(field protowire.Number, b []byte) { m.text(field, string(b)) }

// open appends the beginning of a field of size bytes, which are to follow.
func (m *encoded) open(field protowire.Number, size int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.BytesType), uint64(size))
}

// pair appends a StringStringEntryProto.
func (m *encoded) pair(field protowire.Number, key, value string) {
	var e encoded
	e.text(1, key)
	e.text(2, value)
	m.part(field, e)
}

// setting is an AttributeProto.
type setting = encoded

func settingOf(name string, kind Kind, fill func(*encoded)) setting {
	var m encoded
	m.text(1, name)
	fill(&m)
	m.number(20, int64(kind))
	return m
}

func intSetting(name string, v int) setting {
	return settingOf(name, Int, func(m *encoded) { m.number(3, int64(v)) })
}

func floatSetting(name string, v float64) setting {
	return settingOf(name, Float, func(m *encoded) { m.float(2, float32(v)) })
}

func textSetting(name, v string) setting {
	return settingOf(name, Text, func(m *encoded) { m.text(4, v) })
}

func intsSetting(name string, v ...int) setting {
	return settingOf(name, Ints, func(m *encoded) {
		for _, x := range v {
			m.number(8, int64(x))
		}
	})
}

// tensorSetting is an attribute of values in little-endian order.
func tensorSetting(name string, t ir.Type, data []byte) setting {
	m := tensorHead("", t)
	m.text(9, string(data))
	return settingOf(name, Values, func(a *encoded) { a.part(5, m) })
}

// numbersOf are the types of elements in TensorProto.
var numbersOf = map[ir.DType]int64{ir.F32: 1, ir.U8: 2, ir.I8: 3, ir.I32: 6, ir.I64: 7, ir.Bool: 9, ir.F16: 10, ir.F64: 11, ir.BF16: 16}

// tensorHead is a TensorProto without its values. The type is Known.
func tensorHead(name string, t ir.Type) encoded {
	var m encoded
	for _, n := range t.Sizes() {
		m.number(1, int64(n))
	}
	m.number(2, numbersOf[t.DType])
	if name != "" {
		m.text(8, name)
	}
	return m
}

// valueInfo is a ValueInfoProto; sizes with a name keep it.
func valueInfo(name string, t ir.Type) encoded {
	var shape encoded
	for _, d := range t.Shape {
		var dim encoded
		if d.Known() {
			dim.number(1, int64(d.N))
		} else {
			dim.text(2, d.String())
		}
		shape.part(1, dim)
	}
	var tensor, typ, m encoded
	tensor.number(1, numbersOf[t.DType])
	tensor.part(2, shape)
	typ.part(1, tensor)
	m.text(1, name)
	m.part(2, typ)
	return m
}
