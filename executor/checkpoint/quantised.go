package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
)

// Unpack puts weights in the place of the tensors that stand for them in
// quantised checkpoints, so that they have the names, shapes and types that a
// model wants:
//
//   - 8-bit floats alone become bf16, which has all their values; 8-bit floats
//     and integers with a scale for the tensor, for rows or for blocks become f32;
//   - 4-bit weights of GPTQ and AWQ become blocks q4_g32, q4_g64 or q4_g128, or
//     f32 where their groups are of another size or order;
//   - packed integers of compressed-tensors become f32.
//
// Values are made when they are asked for. What is packed in a way that is not
// known is an error that names it.
func (c *Checkpoint) Unpack() error {
	u := &unpacker{c: c, gone: map[string]bool{}, made: map[string]Tensor{}}
	for _, t := range c.tensors {
		if err := u.tensor(t); err != nil {
			return errorf(t.File, "tensor %q: %v", t.Name, err)
		}
	}
	if len(u.made) == 0 {
		return nil
	}
	c.tensors = slices.DeleteFunc(c.tensors, func(t Tensor) bool { return u.gone[t.Name] || isActivationScale(t.Name) })
	for i, t := range c.tensors {
		if w, ok := u.made[t.Name]; ok {
			c.tensors[i] = w
			delete(u.made, t.Name)
		}
	}
	for _, t := range u.made {
		c.tensors = append(c.tensors, t)
	}
	clear(c.index)
	c.sort()
	return nil
}

// isActivationScale reports whether a tensor scales activations, of which pipe
// makes no use: it does not round them.
func isActivationScale(name string) bool {
	return name == "scaled_fp8" || slices.ContainsFunc([]string{".input_scale", ".scale_input", ".output_scale", ".k_scale", ".v_scale", ".activation_scale"},
		func(end string) bool { return strings.HasSuffix(name, end) })
}

// unpacker collects what takes the place of what.
type unpacker struct {
	c    *Checkpoint
	gone map[string]bool
	made map[string]Tensor
}

// put sets a weight that f makes in the place of the tensors parts.
func (u *unpacker) put(name string, d ir.DType, shape []int, file Tensor, f func() ([]byte, error), parts ...string) {
	t := Tensor{Name: name, Raw: file.Raw, DType: d, Shape: shape, File: file.File, Offset: file.Offset}
	t.Bytes = t.Type().Bytes()
	u.made[name] = t
	for _, p := range parts {
		u.gone[p] = p != name
	}
	u.c.made[name] = &made{f: f} // f may read a tensor of the same name
}

// raw returns what reads a tensor as it is now, whatever is put in its place.
func (u *unpacker) raw(t Tensor) func() ([]byte, error) {
	if m := u.c.made[t.Name]; m != nil {
		return m.f
	}
	in := u.c.files[t.File]
	return func() ([]byte, error) { return in.view(t.Offset, t.Bytes) }
}

func (u *unpacker) find(names ...string) (Tensor, bool) {
	for _, n := range names {
		if t, ok := u.c.Lookup(n); ok {
			return t, true
		}
	}
	return Tensor{}, false
}

// tensor looks at one tensor.
func (u *unpacker) tensor(t Tensor) error {
	base, last := t.Name, ""
	if i := strings.LastIndexByte(t.Name, '.'); i >= 0 {
		base, last = t.Name[:i+1], t.Name[i+1:]
	}
	switch {
	case last == "qweight":
		return u.grouped(t, base)
	case last == "weight_packed":
		return u.packed(t, base)
	case strings.HasSuffix(last, "_blocks"):
		if _, ok := u.find(strings.TrimSuffix(t.Name, "blocks") + "scales"); ok {
			return fmt.Errorf("is packed as MXFP4, which is not read")
		}
	case strings.HasSuffix(last, "absmax"):
		return fmt.Errorf("belongs to weights packed by bitsandbytes, which are not read: save the model in bf16 or f32")
	}
	values, float := float8(t.Raw)
	if !float && t.DType != ir.I8 || t.Raw == "F8_E8M0" {
		if strings.HasPrefix(t.Raw, "F4") || strings.HasPrefix(t.Raw, "F6") || strings.HasPrefix(t.Raw, "F8_") && t.Raw != "F8_E8M0" {
			return fmt.Errorf("is of dtype %s, which is not read", t.Raw)
		}
		return nil
	}
	scale, ok := u.find(t.Name+"_scale_inv", t.Name+"_scale", base+"scale_"+last)
	switch {
	case !ok && float:
		read := u.raw(t)
		u.put(t.Name, ir.BF16, t.Shape, t, func() ([]byte, error) {
			data, err := read()
			if err != nil {
				return nil, err
			}
			return bf16(values, data), nil
		})
		return nil
	case !ok:
		return nil // integers for their own sake
	}
	if !float {
		values = new([256]float32)
		for i := range values {
			values[i] = float32(int8(i))
		}
		if _, ok := u.find(t.Name + "_zero_point"); ok {
			return fmt.Errorf("is quantised with zero points (%s_zero_point), which are not read", t.Name)
		}
	}
	return u.scaled(t, scale, values)
}

// scaled sets values times scales, one for all, for rows or for blocks.
func (u *unpacker) scaled(t, scale Tensor, values *[256]float32) error {
	rows, cols := 1, 1
	for i, n := range t.Shape {
		if i < len(t.Shape)-1 {
			rows *= n
		} else {
			cols = n
		}
	}
	high, wide, err := blocksOf(rows, cols, scale.Shape)
	if err != nil {
		return fmt.Errorf("%w (%s has shape %v)", err, scale.Name, scale.Shape)
	}
	number, size := numberReader(scale)
	if number == nil {
		return fmt.Errorf("has scales of dtype %s, which are not read", scale.Raw)
	}
	read, readScale := u.raw(t), u.raw(scale)
	u.put(t.Name, ir.F32, t.Shape, t, func() ([]byte, error) {
		data, err := read()
		if err != nil {
			return nil, err
		}
		scales, err := readScale()
		if err != nil {
			return nil, err
		}
		across := (cols + wide - 1) / wide
		out := make([]byte, 0, 4*len(data))
		for i, code := range data {
			s := number(scales[(i/cols/high*across+i%cols/wide)*size:])
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(values[code]*s))
		}
		return out, nil
	}, scale.Name)
	return nil
}

// blocksOf is the size of the blocks of a matrix that share a scale, by the
// shape of the scales.
func blocksOf(rows, cols int, scales []int) (high, wide int, err error) {
	n := 1
	for _, s := range scales {
		n *= s
	}
	switch {
	case n == 1:
		return rows, max(cols, 1), nil
	case n == rows && (len(scales) == 1 || scales[len(scales)-1] == 1):
		return 1, max(cols, 1), nil
	case len(scales) != 2:
		return 0, 0, fmt.Errorf("has scales that fit neither it nor its rows")
	}
	for _, b := range [][2]int{{128, 128}, {1, cols / max(scales[1], 1)}, {rows / max(scales[0], 1), cols / max(scales[1], 1)}} {
		if b[0] > 0 && b[1] > 0 && (rows+b[0]-1)/b[0] == scales[0] && (cols+b[1]-1)/b[1] == scales[1] {
			return b[0], b[1], nil
		}
	}
	return 0, 0, fmt.Errorf("of shape [%d, %d] has scales that fit no blocks", rows, cols)
}

// numberReader gives what reads an element as f32, and its bytes.
func numberReader(t Tensor) (func(b []byte) float32, int) {
	switch t.DType {
	case ir.F32:
		return func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }, 4
	case ir.BF16:
		return func(b []byte) float32 { return half.BF16ToF32(binary.LittleEndian.Uint16(b)) }, 2
	case ir.F16:
		return func(b []byte) float32 { return half.F16ToF32(binary.LittleEndian.Uint16(b)) }, 2
	}
	if values, ok := float8(t.Raw); ok {
		return func(b []byte) float32 { return values[b[0]] }, 1
	}
	return nil, 0
}

// grouped sets the weights of GPTQ or AWQ: qweight, qzeros, scales, and g_idx
// of the former.
func (u *unpacker) grouped(t Tensor, base string) error {
	zeros, ok := u.find(base + "qzeros")
	scales, also := u.find(base + "scales")
	if !ok || !also || t.DType != ir.I32 || zeros.DType != ir.I32 || scales.DType != ir.F16 || len(t.Shape) != 2 || len(zeros.Shape) != 2 || len(scales.Shape) != 2 {
		return fmt.Errorf("is packed in a way that is neither GPTQ's nor AWQ's of 4 bits: want qweight and qzeros of i32 and scales of f16, two axes each")
	}
	g := quant.Grouped{In: t.Shape[0], Out: scales.Shape[1]}
	awq := t.Shape[1]*8 == g.Out
	if !awq {
		g.In *= 8
	}
	if !awq && t.Shape[1] != g.Out || zeros.Shape[1]*8 != g.Out || scales.Shape[0] == 0 || g.In%scales.Shape[0] != 0 || zeros.Shape[0] != scales.Shape[0] {
		return fmt.Errorf("of shape %v with scales %v and zeros %v is not of 4 bits, which alone are read of GPTQ and AWQ", t.Shape, scales.Shape, zeros.Shape)
	}
	g.Group = g.In / scales.Shape[0]
	order, ordered := u.find(base + "g_idx")
	parts := []string{t.Name, zeros.Name, scales.Name}
	if ordered {
		parts = append(parts, order.Name)
		index, err := u.raw(order)()
		if err != nil {
			return err
		}
		if order.DType != ir.I32 || len(index) != 4*g.In {
			return fmt.Errorf("has a g_idx of %s%v, want i32[%d]", order.Raw, order.Shape, g.In)
		}
		g.Index = make([]int32, g.In)
		ordered = false
		for i := range g.Index {
			g.Index[i] = int32(binary.LittleEndian.Uint32(index[4*i:]))
			ordered = ordered || int(g.Index[i]) != i/g.Group
		}
		if !ordered {
			g.Index = nil
		}
	}
	d := ir.F32
	if blocks, err := ir.ParseBlocked(fmt.Sprintf("q4_g%d", g.Group)); err == nil && !ordered {
		d = blocks
	}
	read := [3]func() ([]byte, error){u.raw(t), u.raw(zeros), u.raw(scales)}
	u.put(base+"weight", d, []int{g.Out, g.In}, t, func() ([]byte, error) { return unpackGrouped(g, awq, d, read) }, parts...)
	return nil
}

func unpackGrouped(g quant.Grouped, awq bool, d ir.DType, read [3]func() ([]byte, error)) ([]byte, error) {
	var data [3][]byte
	for i, f := range read {
		var err error
		if data[i], err = f(); err != nil {
			return nil, err
		}
	}
	g.Weights, g.Zeros, g.Scales = words(data[0]), words(data[1]), make([]uint16, len(data[2])/2)
	for i := range g.Scales {
		g.Scales[i] = binary.LittleEndian.Uint16(data[2][2*i:])
	}
	if d.Blocked() {
		out := make([]byte, ir.T(d, g.Out, g.In).Bytes())
		return out, g.Rows(out, awq)
	}
	dense := make([]float32, g.In*g.Out)
	run := g.GPTQ
	if awq {
		run = g.AWQ
	}
	if err := run(dense); err != nil {
		return nil, err
	}
	out := make([]byte, 0, 4*len(dense))
	for _, x := range dense {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out, nil
}

func words(data []byte) []uint32 {
	out := make([]uint32, len(data)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	return out
}

// packed sets the weights of compressed-tensors: integers of 4 or 8 bits, the
// first in the low bits of a word, with an offset of half their range, and a
// scale for each group of a row.
func (u *unpacker) packed(t Tensor, base string) error {
	scale, ok := u.find(base + "weight_scale")
	size, also := u.find(base + "weight_shape")
	number, width := numberReader(scale)
	switch {
	case !ok || !also || t.DType != ir.I32 || len(t.Shape) != 2 || number == nil:
		return fmt.Errorf("is packed in a way that is not read (compressed-tensors of 4 or 8 bits are: weight_packed of i32, weight_scale, weight_shape)")
	case size.DType != ir.I64 || size.Bytes != 16:
		return fmt.Errorf("has a weight_shape of %s%v, want i64[2]", size.Raw, size.Shape)
	}
	for _, extra := range []string{"weight_zero_point", "weight_g_idx"} {
		if _, ok := u.find(base + extra); ok {
			return fmt.Errorf("is packed with %s, which is not read", extra)
		}
	}
	data, err := u.raw(size)()
	if err != nil {
		return err
	}
	rows, cols := int64(binary.LittleEndian.Uint64(data)), int64(binary.LittleEndian.Uint64(data[8:]))
	if rows != int64(t.Shape[0]) || cols <= 0 || cols > int64(t.Shape[1])*8 {
		return fmt.Errorf("of shape %v stands for [%d, %d], which does not fit", t.Shape, rows, cols)
	}
	bits := 0
	for _, b := range []int64{4, 8} {
		if (cols*b+31)/32 == int64(t.Shape[1]) {
			bits = int(b)
		}
	}
	if bits == 0 {
		return fmt.Errorf("of shape %v for [%d, %d] is not of 4 or 8 bits", t.Shape, rows, cols)
	}
	high, wide, err := blocksOf(int(rows), int(cols), scale.Shape)
	if err != nil {
		return err
	}
	p := &packing{int(rows), int(cols), t.Shape[1], bits, high, wide, number, width}
	read, readScale := u.raw(t), u.raw(scale)
	u.put(base+"weight", ir.F32, []int{p.rows, p.cols}, t, func() ([]byte, error) {
		data, err := read()
		if err != nil {
			return nil, err
		}
		scales, err := readScale()
		if err != nil {
			return nil, err
		}
		return p.unpack(data, scales), nil
	}, t.Name, scale.Name, size.Name)
	return nil
}

// packing is how integers lie in the words of a matrix.
type packing struct {
	rows, cols, words, bits int
	high, wide              int // of blocks that share a scale
	number                  func(b []byte) float32
	width                   int // bytes of a scale
}

func (p *packing) unpack(data, scales []byte) []byte {
	out := make([]byte, 0, 4*p.rows*p.cols)
	across, each := (p.cols+p.wide-1)/p.wide, 32/p.bits
	for r := range p.rows {
		for c := range p.cols {
			word := binary.LittleEndian.Uint32(data[4*(r*p.words+c/each):])
			q := int(word>>(c%each*p.bits))&(1<<p.bits-1) - 1<<(p.bits-1)
			s := p.number(scales[(r/p.high*across+c/p.wide)*p.width:])
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(q)*s))
		}
	}
	return out
}
