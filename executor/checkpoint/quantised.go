package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/half"
)

// Unpack puts weights in the place of the tensors that stand for them in
// checkpoints that are quantised, or hold weights in parts, so that they have the names, shapes and types that a
// model wants:
//
//   - 8-bit floats alone become bf16, which has all their values; 8-bit floats
//     and integers with a scale for the tensor, for rows or for blocks become f32;
//   - 4-bit weights of GPTQ and AWQ become blocks q4_g32, q4_g64 or q4_g128, or
//     f32 where their groups are of another size or order;
//   - packed integers of compressed-tensors become f32;
//   - a length and a direction (PyTorch's weight_norm), or a weight and the vectors of its
//     greatest singular value (spectral_norm), become the weight.
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
	case last == "weight_g":
		return u.normed(t, base+"weight_v", base+"weight")
	case last == "original0" && strings.HasSuffix(base, "parametrizations.weight."):
		return u.normed(t, base+"original1", strings.TrimSuffix(base, "parametrizations.weight.")+"weight")
	case last == "weight_orig":
		return u.spectral(t, base+"weight_u", base+"weight_v", base+"weight")
	case last == "original" && strings.HasSuffix(base, "parametrizations.weight."):
		return u.spectral(t, base+"0._u", base+"0._v", strings.TrimSuffix(base, "parametrizations.weight.")+"weight")
	case strings.HasSuffix(last, "_blocks"):
		if _, ok := u.find(strings.TrimSuffix(t.Name, "blocks") + "scales"); ok {
			return fmt.Errorf("is packed as MXFP4, which is not read")
		}
	case strings.HasSuffix(last, "absmax"):
		return fmt.Errorf("belongs to weights packed by bitsandbytes, which are not read: save the model in bf16 or f32")
	}
	values, float := float8(t.Raw)
	if !float && t.DType != ir.I8 || t.Raw == "F8_E8M0" {
		if strings.HasPrefix(t.Raw, "F4") || strings.HasPrefix(t.Raw, "F6_") || strings.HasPrefix(t.Raw, "F8_") && t.Raw != "F8_E8M0" {
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
