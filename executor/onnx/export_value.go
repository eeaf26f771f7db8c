package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// constant is a value that is known; equal ones are written once.
func (x *exporter) constant(t ir.Type, data []byte) string {
	return x.once(fmt.Sprintf("%v %x", t, data), func() string { return x.add("Constant", nil, tensorSetting("value", t, data)) })
}

// once gives the name of what was written under a key, or writes it.
func (x *exporter) once(key string, write func() string) string {
	if name, ok := x.known[key]; ok {
		return name
	}
	x.known[key] = write()
	return x.known[key]
}

// ints is a list of int64.
func (x *exporter) ints(v ...int) string {
	return x.once(fmt.Sprint("ints", v), func() string {
		if len(v) == 0 {
			return x.add("Constant", nil, tensorSetting("value", ir.T(ir.I64, 0), nil))
		}
		return x.add("Constant", nil, intsSetting("value_ints", v...))
	})
}

// scalar is a number of a type without axes.
func (x *exporter) scalar(v float64, t ir.DType) string {
	var data []byte
	switch t {
	case ir.F32:
		data = binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v)))
	case ir.F64:
		data = binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
	case ir.I32:
		data = binary.LittleEndian.AppendUint32(nil, uint32(int32(v)))
	case ir.I64:
		data = binary.LittleEndian.AppendUint64(nil, uint64(int64(v)))
	default:
		x.fail(fmt.Errorf("a number of type %v cannot be written", t))
	}
	return x.constant(ir.T(t), data)
}

func (x *exporter) fail(err error) {
	if x.err == nil {
		x.err = err
	}
}

// cast is a value as another type of elements; of the same type it stays.
func (x *exporter) cast(name string, from, to ir.DType) string {
	if from == to {
		return name
	}
	return x.add("Cast", []string{name}, intSetting("to", int(numbersOf[to])))
}

// size is a size as a list of one int64: a number, or read from an input that
// has the named sizes in it.
func (x *exporter) size(d ir.Dim) string {
	if d.Known() {
		return x.ints(d.N)
	}
	return x.once("size "+d.String(), func() string {
		var out string
		for _, f := range d.Factors() {
			one := x.factor(f)
			if out == "" {
				out = one
			} else {
				out = x.add("Mul", []string{out, one})
			}
		}
		if d.N != 1 {
			out = x.add("Mul", []string{out, x.ints(d.N)})
		}
		return out
	})
}

// factor is a name, or a sum, as a list of one int64.
func (x *exporter) factor(d ir.Dim) string {
	list := d.Terms()
	if len(list) == 1 {
		return x.named(d.Syms)
	}
	out := x.size(list[0])
	for _, t := range list[1:] {
		out = x.add("Add", []string{out, x.size(t)})
	}
	return out
}

// named is a named size as a list of one int64.
func (x *exporter) named(name string) string {
	return x.once("size of "+name, func() string {
		for _, in := range x.g.Inputs {
			for i, d := range in.Type().Shape {
				if d.Syms == name {
					defer func(path string) { x.path = path }(x.path)
					x.path = name
					size := x.add("Shape", []string{in.Node.InputName()}, intSetting("start", i), intSetting("end", i+1))
					if d.N != 1 {
						size = x.add("Div", []string{size, x.ints(d.N)})
					}
					return size
				}
			}
		}
		x.fail(fmt.Errorf("no input says how large %q is", name))
		return ""
	})
}

// shape is a list of sizes as int64.
func (x *exporter) shape(dims []ir.Dim) string {
	if !slices.ContainsFunc(dims, func(d ir.Dim) bool { return !d.Known() }) {
		v := make([]int, len(dims))
		for i, d := range dims {
			v[i] = d.N
		}
		return x.ints(v...)
	}
	return x.once("shape "+ir.ShapeString(dims), func() string {
		var parts []string
		for i := 0; i < len(dims); { // known neighbours go together
			var v []int
			for ; i < len(dims) && dims[i].Known(); i++ {
				v = append(v, dims[i].N)
			}
			if v != nil {
				parts = append(parts, x.ints(v...))
				continue
			}
			parts = append(parts, x.size(dims[i]))
			i++
		}
		if len(parts) == 1 {
			return parts[0]
		}
		return x.add("Concat", parts, intSetting("axis", 0))
	})
}

// reshape gives a value of one shape another of as many elements.
func (x *exporter) reshape(name string, from, to []ir.Dim) string {
	if slices.Equal(from, to) {
		return name
	}
	var v []int
	rest, empty := 0, false
	for i, d := range to {
		switch {
		case d.Known():
			v, empty = append(v, d.N), empty || d.N == 0
		case i < len(from) && from[i] == d:
			v = append(v, 0) // as it is
		default:
			v, rest = append(v, -1), rest+1
		}
	}
	switch {
	case empty:
		return x.add("Reshape", []string{name, x.shape(to)}, intSetting("allowzero", 1))
	case rest > 1:
		return x.add("Reshape", []string{name, x.shape(to)})
	}
	return x.add("Reshape", []string{name, x.ints(v...)})
}
