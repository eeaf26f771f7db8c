package cuda

import (
	"fmt"
	"math"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// convParams is Conv of source/conv.h.
type convParams struct {
	y, x, w, bias                 driver.Pointer
	batch                         uint64
	wGroup, wRow, wChannel        uint64
	xCode, wCode, yCode, biasCode uint32
	activation                    uint32
	groups, rows, channels, back  uint32
	size, out, kernel             [3]uint32
	stride, dilation, before      [3]int32
	plus                          driver.Pointer
}

// fewRows is below how many channels of a group a tile would be mostly empty.
const fewRows = 8

// geometry settles a convolution of x by kernel to y, all as spatial sizes.
func (p *convParams) geometry(a op.ConvAttr, x, y, kernel []int) error {
	for _, n := range []int{prod(x), prod(y), prod(kernel)} {
		if n > math.MaxInt32 {
			return fmt.Errorf("cuda: a convolution of %d elements of a channel, want at most %d", n, math.MaxInt32)
		}
	}
	last3(&p.size, x, 1)
	last3(&p.out, y, 1)
	last3(&p.kernel, kernel, 1)
	last3(&p.stride, a.Stride.Slice(), 1)
	last3(&p.dilation, a.Dilation.Slice(), 1)
	last3(&p.before, a.Before.Slice(), 0)
	p.groups = uint32(a.Groups)
	return nil
}

func canConvolve(in, out []ir.Type) bool {
	ok := len(in) >= 2 && stored(out[0].DType)
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	return ok && len(in[0].Shape) >= 3 && len(in[0].Shape) <= 5
}

// convEnd is the activation that a convolution ends with; false for an attribute of
// another op.
func convEnd(attr any) (act string, ok bool) {
	switch a := attr.(type) {
	case op.ConvAttr:
		return "", true
	case op.ConvLayerAttr:
		return a.Act, true
	case op.ConvTransposeLayerAttr:
		return a.Act, true
	}
	return "", false
}

// conv makes the kernel of a convolution, or of its adjoint, and of layers of them.
//
//	x [batch, in, spatial...]   w [out, in/groups, kernel...]   bias [out]   y [batch, out, spatial...]
func conv(back bool, add plus) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		act, ok := convEnd(attr)
		code, known := activations[act]
		in, same := add.types(in, out)
		return kernel{inPlace: add.inPlace(nil), bind: func(args kernels.Args) (kernels.Step, error) {
			args, z := add.args(args)
			x, w, y, bias := args.In[0], args.In[1], args.Out[0], kernels.Tensor{}
			if len(args.In) > 2 {
				bias = args.In[2]
			}
			a, err := op.ConvGeometry(attr, ir.T(x.DType, x.Shape...))
			if err != nil {
				return nil, err
			}
			at, err := b.pointers(y, x, w, bias, z)
			if err != nil || y.Len() == 0 {
				return nothing, err
			}
			p := &convParams{y: at[0], x: at[1], w: at[2], bias: at[3], plus: at[4], batch: uint64(x.Shape[0]), activation: code,
				xCode: codes[x.DType], wCode: codes[w.DType], yCode: codes[y.DType], biasCode: codes[bias.DType]}
			if err := p.geometry(a, x.Shape[2:], y.Shape[2:], w.Shape[2:]); err != nil {
				return nil, err
			}
			taps, first, second := prod(w.Shape[2:]), w.Shape[0]/a.Groups, w.Shape[1]
			p.wGroup = uint64(first * second * taps)
			p.rows, p.channels, p.wRow, p.wChannel = uint32(first), uint32(second), uint64(second*taps), uint64(taps)
			if back {
				p.rows, p.channels, p.wRow, p.wChannel, p.back = p.channels, p.rows, p.wChannel, p.wRow, 1
			}
			return b.convolve(p, p.family(x.DType, w.DType, a.TF32))
		}}, ok && known && same && canConvolve(in, out)
	}
}

// convolve returns the step of a convolution whose parameter is settled, by a kernel
// of a family.
func (b *Backend) convolve(p *convParams, family string) (kernels.Step, error) {
	columns, phases := int(p.batch), 1
	for i := range p.out {
		n := int(p.out[i])
		if p.back != 0 {
			phases *= int(p.stride[i])
			n = parts(n, int(p.stride[i]))
		}
		columns *= n
	}
	z := int(p.groups) * phases
	if z > 65535 || parts(int(p.rows), tile) > 65535 {
		return nil, fmt.Errorf("cuda: a convolution of %d groups times strides and %d channels, want at most 65535", z, p.rows)
	}
	if p.rows < fewRows {
		return launch(b, "conv", "conv_few", grid{driver.Dim{X: parts(columns, 256), Y: int(p.rows), Z: z}, 256}, p)
	}
	if family != "" {
		const channels, positions = 128, 64
		space := 4 * channels * (positions + 8)
		if strings.HasSuffix(family, "tf32") { // two stages of 32
			space = 2 * 32 * 4 * (channels + positions + 8)
		}
		g := grid{driver.Dim{X: parts(columns, positions), Y: parts(int(p.rows), channels), Z: z}, 256}
		return launchRoom(b, "conv_tensor", "conv_"+family, g, space, p)
	}
	return launch(b, "conv", "conv", grid{driver.Dim{X: parts(columns, tile), Y: parts(int(p.rows), tile), Z: z}, 256}, p)
}

// family names the kernel of source/conv_tensor.cu for element types: "" where
// there is none. f32 with f32 has one where it may be rounded to tf32.
func (p *convParams) family(x, w ir.DType, tf32 bool) string {
	const mostTaps = 64
	name := ""
	if p.back != 0 {
		name = "back_"
	}
	rounded := tf32 && x == ir.F32 && w == ir.F32
	switch half := w == ir.BF16 || w == ir.F16; {
	case !half && !rounded || p.kernel[0]*p.kernel[1]*p.kernel[2] > mostTaps:
		return ""
	case rounded:
		return name + "tf32"
	case x == w:
		return name + w.String()
	case x == ir.F32:
		return name + "wide_" + w.String()
	}
	return ""
}

// weightGradParams is Grad of source/conv.h.
type weightGradParams struct {
	conv        convParams
	dy, partial driver.Pointer
	length      uint64
	parts, code uint32
}

// gradParts is into how many parts the sum over positions is split, and how long
// they are, so that the blocks of all fill a large device twice: a tile has so many
// rows. Sizes alone decide.
func gradParts(high, rows, columns, groups, positions int) (count, length int) {
	const blocks, least = 264, 512
	tiles := parts(rows, high) * parts(columns, tile) * groups
	count = max(1, min(blocks/tiles, positions/least))
	length = parts(parts(max(positions, 1), count), 16) * 16
	return parts(max(positions, 1), length), length
}

// gradSizes are what gradParts wants of dy and dw.
func gradSizes(dy, dw []int, groups int) (rows, columns, positions int) {
	return dw[0] / groups, prod(dw[1:]), dy[0] * prod(dy[2:])
}

// gradKernel names the kernel for element types, how many rows its tiles have, and the
// shared memory of a block.
func gradKernel(x, dy ir.DType, tf32 bool) (file, name string, high, space int) {
	const stages, deep = 2, 32
	switch {
	case x == dy && x != ir.F32:
		return "conv_grad_tensor", "conv_weight_grad_" + x.String(), 128, stages * deep * 2 * (128 + tile)
	case x == dy && tf32:
		return "conv_grad_tensor", "conv_weight_grad_tf32", 128, stages * deep * 4 * (128 + tile)
	}
	return "conv", "conv_weight_grad", tile, 0
}

// convWeightGrad is the gradient of the weight of a convolution.
//
//	x [batch, in, spatial...]   dy [batch, out, spatial...]   dw [out, in/groups, kernel...]
func convWeightGrad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ConvAttr)
	scratch := func(_ any, in, out []ir.Type) int64 {
		rows, columns, positions := gradSizes(in[1].Sizes(), out[0].Sizes(), a.Groups)
		_, _, high, _ := gradKernel(in[0].DType, in[1].DType, a.TF32)
		if count, _ := gradParts(high, rows, columns, a.Groups, positions); count > 1 && rows >= fewRows {
			return 4 * int64(count) * int64(out[0].Elems())
		}
		return 0
	}
	return kernel{scratch: scratch, bind: func(args kernels.Args) (kernels.Step, error) {
		x, dy, dw := args.In[0], args.In[1], args.Out[0]
		at, err := b.pointers(dw, x, dy, args.Scratch)
		if err != nil || dw.Len() == 0 {
			return nothing, err
		}
		rows, columns, positions := gradSizes(dy.Shape, dw.Shape, a.Groups)
		p := &weightGradParams{dy: at[2], partial: at[3], code: codes[dy.DType]}
		p.conv = convParams{y: at[0], x: at[1], batch: uint64(x.Shape[0]), xCode: codes[x.DType], yCode: codes[dw.DType], rows: uint32(rows), channels: uint32(dw.Shape[1])}
		if err := p.conv.geometry(a, x.Shape[2:], dy.Shape[2:], dw.Shape[2:]); err != nil {
			return nil, err
		}
		if rows < fewRows {
			return launch(b, "conv", "conv_weight_grad_few", grid{driver.Dim{X: columns, Y: rows, Z: a.Groups}, 256}, p)
		}
		file, name, high, space := gradKernel(x.DType, dy.DType, a.TF32)
		count, length := gradParts(high, rows, columns, a.Groups, positions)
		p.parts, p.length = uint32(count), uint64(length)
		step, err := launchRoom(b, file, name, grid{driver.Dim{X: parts(columns, tile), Y: parts(rows, high), Z: a.Groups * count}, 256}, space, p)
		if err != nil || count == 1 {
			return step, err
		}
		sum, err := b.sumParts(at[0], at[3], dw, count)
		return sequence([]kernels.Step{step, sum}), err
	}}, ok && canConvolve(in, out)
}

// sumParts adds parts of a tensor in order.
func (b *Backend) sumParts(y, partial driver.Pointer, t kernels.Tensor, count int) (kernels.Step, error) {
	type params struct {
		y, partial  driver.Pointer
		n           uint64
		parts, code uint32
	}
	return launch(b, "conv", "sum_parts", overElements(t.Len()), &params{y, partial, uint64(t.Len()), uint32(count), codes[t.DType]})
}
