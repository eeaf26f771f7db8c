package onnx

import (
	"encoding/binary"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// exportRopeTable computes angles in float64 and takes whole turns off, since
// those of far positions have more digits than f32.
func exportRopeTable(x *exporter, n *ir.Node, in []string) []string {
	at := n.Attr.(op.RopeAttr)
	_, scale := at.Frequencies()
	positions := x.cast(x.add("Unsqueeze", []string{in[0], x.ints(-1)}), n.In[0].Type().DType, ir.F64)
	angle := x.add("Mul", []string{positions, x.frequencies(at)})
	turns := x.add("Floor", []string{x.add("Div", []string{angle, x.scalar(2*math.Pi, ir.F64)})})
	angle = x.add("Sub", []string{angle, x.add("Mul", []string{turns, x.scalar(2*math.Pi, ir.F64)})})
	angle = x.cast(angle, ir.F64, ir.F32)
	outs := make([]string, 2)
	for i, kind := range []string{"Cos", "Sin"} {
		if outs[i] = x.add(kind, []string{angle}); scale != 1 {
			outs[i] = x.add("Mul", []string{outs[i], x.scalar(scale, ir.F32)})
		}
	}
	return outs
}

// frequencies are the angles of the pairs per position. Where they go by how
// long sequences are, the file computes them from that.
func (x *exporter) frequencies(at op.RopeAttr) string {
	length, err := at.Length.Slice()
	if err != nil || len(length) != 1 || length[0].Known() || at.Scaling != "dynamic" && at.Scaling != "longrope" {
		freq, _ := at.Frequencies()
		return x.doubles(freq)
	}
	within, beyond := at, at
	within.Length, beyond.Length = "0", op.MakeDims(ir.D(at.TrainedLength+1))
	short, _ := within.Frequencies()
	n := x.size(length[0])
	if at.Scaling == "longrope" {
		long, _ := beyond.Frequencies()
		return x.add("Where", []string{x.add("Greater", []string{n, x.ints(at.TrainedLength)}), x.doubles(long), x.doubles(short)})
	}
	if at.Dim <= 2 {
		return x.doubles(short)
	}
	// theta grows by longer^(dim/(dim-2)), where longer = factor n/trained - (factor - 1).
	n = x.cast(n, ir.I64, ir.F64)
	times := x.add("Mul", []string{n, x.scalar(at.Factor/float64(at.TrainedLength), ir.F64)})
	longer := x.add("Sub", []string{times, x.scalar(at.Factor-1, ir.F64)})
	longer = x.add("Max", []string{longer, x.scalar(1, ir.F64)})
	powers := make([]float64, at.Dim/2)
	for i := range powers {
		powers[i] = -2 * float64(i) / float64(at.Dim-2)
	}
	return x.add("Mul", []string{x.doubles(short), x.add("Pow", []string{longer, x.doubles(powers)})})
}

// doubles is a list of float64.
func (x *exporter) doubles(v []float64) string {
	var data []byte
	for _, f := range v {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(f))
	}
	return x.constant(ir.T(ir.F64, len(v)), data)
}
