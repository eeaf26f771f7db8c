package onnx

import (
	"encoding/binary"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Translations of operations along the axes of pictures and signals. What they
// map an axis to is known, so that the map is a constant.

func (x *exporter) floats(v []float64, sizes ...int) string {
	var data []byte
	for _, f := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(f)))
	}
	return x.constant(ir.T(ir.F32, sizes...), data)
}

// axisSizes are the sizes of an axis before and after, if both are known.
func axisSizes(axis int, in, out ir.Type) (from, to int, ok bool) {
	i := axisOf(axis, in)
	return in.Shape[i].N, out.Shape[i].N, in.Shape[i].Known() && out.Shape[i].Known()
}

func resampleFits(attr any, in, out []ir.Type) bool {
	_, _, ok := axisSizes(attr.(op.ResampleAttr).Axis, in[0], out[0])
	return ok && in[0].DType == ir.F32
}

// exportResample multiplies by the map's matrix [in, out], or takes elements
// where each result is one of them.
func exportResample(x *exporter, n *ir.Node, in []string) string {
	at, t := n.Attr.(op.ResampleAttr), n.In[0].Type()
	from, to, _ := axisSizes(at.Axis, t, n.Types[0])
	taps, axis := at.Taps(from, to), axisOf(at.Axis, t)
	matrix, single := make([]float64, from*to), len(taps.Index) == to
	for o := range to {
		single = single && taps.First[o+1] == taps.First[o]+1
		for k := taps.First[o]; k < taps.First[o+1]; k++ {
			matrix[taps.Index[k]*to+o] += taps.Weight[k]
			single = single && taps.Weight[k] == 1
		}
	}
	if single {
		return x.add("Gather", []string{in[0], x.ints(taps.Index...)}, intSetting("axis", axis))
	}
	last := t.Rank() - 1
	if axis == last {
		return x.add("MatMul", []string{in[0], x.floats(matrix, from, to)})
	}
	perm := make([]int, t.Rank()) // its own inverse
	for i := range perm {
		perm[i] = i
	}
	perm[axis], perm[last] = last, axis
	y := x.add("Transpose", in, intsSetting("perm", perm...))
	return x.add("Transpose", []string{x.add("MatMul", []string{y, x.floats(matrix, from, to)})}, intsSetting("perm", perm...))
}

func windowMaxFits(attr any, in, out []ir.Type) bool {
	_, _, ok := axisSizes(attr.(op.WindowMaxAttr).Axis, in[0], out[0])
	return ok && !attr.(op.WindowMaxAttr).Where
}

// exportWindowMax lays windows side by side; shorter ones have their last
// element several times.
func exportWindowMax(x *exporter, n *ir.Node, in []string) string {
	at, t := n.Attr.(op.WindowMaxAttr), n.In[0].Type()
	from, to, _ := axisSizes(at.Axis, t, n.Types[0])
	axis := axisOf(at.Axis, t)
	windows, most := make([][]int, to), 0
	for o := range windows {
		for lo, hi, step := at.Window(o, from, to); lo < hi; lo += step {
			windows[o] = append(windows[o], lo)
		}
		most = max(most, len(windows[o]))
	}
	var data []byte
	for _, w := range windows {
		for k := range most {
			data = binary.LittleEndian.AppendUint64(data, uint64(w[min(k, len(w)-1)]))
		}
	}
	y := x.add("Gather", []string{in[0], x.constant(ir.T(ir.I64, to, most), data)}, intSetting("axis", axis))
	return x.add("ReduceMax", []string{y, x.ints(axis + 1)}, intSetting("keepdims", 0))
}

// filters are the real and imaginary parts of windowed waves, [2*bins, 1, N].
func (x *exporter) filters(at op.FourierAttr) (name string, bins int) {
	bins = at.N/2 + 1
	re, im := make([]float64, 0, bins*at.N), make([]float64, 0, bins*at.N)
	w := at.Windows()
	for k := range bins {
		for i := range at.N {
			sin, cos := math.Sincos(2 * math.Pi * float64(k*i%at.N) / float64(at.N))
			re, im = append(re, w[i]*at.Bin(k)*cos), append(im, -w[i]*at.Bin(k)*sin)
		}
	}
	return x.floats(append(re, im...), 2*bins, 1, at.N), bins
}

// fourierFits refuses filters that would take more than 64 MiB, and sizes that
// something must be known of.
func fourierFits(attr any, in, out []ir.Type) bool {
	at := attr.(op.FourierAttr)
	known := func(t ir.Type) bool { return t.Shape[t.Rank()-1].Known() }
	return at.N <= 4096 && (known(in[0]) && known(out[0]) || !at.Even && len(in) == 1)
}

// exportAnalysis is a convolution of the signal with all waves.
func exportAnalysis(x *exporter, n *ir.Node, in []string) []string {
	at, t := n.Attr.(op.FourierAttr), n.In[0].Type()
	y, last := in[0], t.Shape[t.Rank()-1]
	if at.Even {
		frames := n.Types[0].Shape[n.Types[0].Rank()-1].N
		y = x.add("Mul", []string{y, x.floats(at.Evenness(frames, last.N), last.N)})
	}
	rows := t.With(t.Shape[:t.Rank()-1]...).Len()
	y = x.reshape(y, t.Shape, []ir.Dim{rows, ir.D(1), last})
	w, bins := x.filters(at)
	y = x.add("Conv", []string{y, w}, intsSetting("strides", at.Hop), intsSetting("kernel_shape", at.N))
	parts := []string{x.unique(x.path + "/Split"), x.unique(x.path + "/Split")}
	x.emit("Split", []string{y, x.ints(bins, bins)}, slices.Clone(parts), intSetting("axis", 1))
	out := n.Types[0].Shape
	for i := range parts {
		parts[i] = x.reshape(parts[i], []ir.Dim{rows, ir.D(bins), out[len(out)-1]}, out)
	}
	return parts
}

// exportSynthesis is the transposed convolution.
func exportSynthesis(x *exporter, n *ir.Node, in []string) string {
	at, t, out := n.Attr.(op.FourierAttr), n.In[0].Type(), n.Types[0]
	frames, size := t.Shape[t.Rank()-1], out.Shape[out.Rank()-1]
	rows := t.With(t.Shape[:t.Rank()-2]...).Len()
	w, bins := x.filters(at)
	flat := []ir.Dim{rows, ir.D(bins), frames}
	both := x.add("Concat", []string{x.reshape(in[0], t.Shape, flat), x.reshape(in[1], t.Shape, flat)}, intSetting("axis", 1))
	y := x.add("ConvTranspose", []string{both, w}, intsSetting("strides", at.Hop), intsSetting("kernel_shape", at.N))
	made := (frames.N-1)*at.Hop + at.N
	if rest := size.N - made; rest > 0 {
		y = x.add("Pad", []string{y, x.ints(0, 0, 0, 0, 0, rest)})
	}
	if at.Even {
		y = x.add("Mul", []string{y, x.floats(at.Evenness(frames.N, size.N), size.N)})
	}
	return x.reshape(y, []ir.Dim{rows, ir.D(1), size}, slices.Clone(out.Shape))
}
