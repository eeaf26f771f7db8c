package cpu

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// The layouts of weights of convolutions, f32 alone. Tall is tall panels of a
// weight [out, in, kernel...]: panel p holds, for each channel of x and each
// element of the kernel, the weights of rows 48p to 48p+47, or as many as there
// are. TallT is the same made of a weight [in, out, kernel...], as transposed
// convolutions have it. With groups of channels, their number follows: "tall48/4".
const (
	Tall  ir.Layout = "tall48"
	TallT ir.Layout = "tall48t"
)

// convLayout is the layout of weight input i of a convolution, "" for other ops.
func convLayout(name string, attr any, i int, weight ir.Type) ir.Layout {
	adjoint := strings.HasPrefix(name, "conv_transpose")
	if i != 1 || !adjoint && name != "conv" && name != "conv1d" && name != "conv2d" && name != "conv3d" || weight.DType != ir.F32 || len(weight.Shape) < 3 {
		return ""
	}
	groups := 1
	switch a := attr.(type) {
	case op.ConvAttr:
		groups = a.Groups
	case op.ConvLayerAttr:
		groups = a.Groups
	case op.ConvTransposeLayerAttr:
		groups = a.Groups
	}
	c := convolving{rows: weight.Sizes()[0] / max(groups, 1)}
	if adjoint {
		c.rows = weight.Sizes()[1]
	}
	if c.direct() || !adjoint && groups == 1 && prod(weight.Sizes()[2:]) == 1 { // lines, or perhaps a product
		return ""
	}
	l := Tall
	if adjoint {
		l = TallT
	}
	if groups > 1 {
		l += ir.Layout("/" + strconv.Itoa(groups))
	}
	return l
}

// tallLayout reads the name of a layout of tall panels.
func tallLayout(l ir.Layout) (adjoint bool, groups int, ok bool) {
	name, count, some := strings.Cut(string(l), "/")
	groups = 1
	if some {
		groups, _ = strconv.Atoi(count)
	}
	return ir.Layout(name) == TallT, groups, groups > 0 && (ir.Layout(name) == Tall || ir.Layout(name) == TallT)
}

// convLayoutBytes is the bytes of a weight in a layout of convolutions; ok is
// false for other layouts.
func (b *Backend) convLayoutBytes(l ir.Layout, weight ir.Type) (bytes int64, ok bool) {
	if _, _, tall := tallLayout(l); tall {
		return weight.Bytes(), true
	}
	return 0, false
}

// packConv writes the weights of src to panels.
func (b *Backend) packConv(l ir.Layout, weight ir.Type, to []byte, src []byte) error {
	ws := weight.Sizes()
	adjoint, groups, tall := tallLayout(l)
	if weight.DType != ir.F32 || len(ws) < 3 || ws[0]%groups != 0 || !tall {
		return fmt.Errorf("cpu: can't pack %v as %q", weight, l)
	}
	if uintptr(unsafe.Pointer(&to[0]))%4 != 0 {
		return fmt.Errorf("cpu: pack %v at an address that is not aligned", weight)
	}
	c := convolving{groups: groups, rows: ws[0] / groups, channels: ws[1], kernel: prod(ws[2:])}
	if adjoint {
		c.rows, c.channels = ws[1], ws[0]/groups
	}
	b.pool.Run(groups*c.talls(), func(_, id int) {
		g, t := id/c.talls(), id%c.talls()
		at, rows := c.tallOf(g, t)
		if !adjoint {
			interleave[[4]byte](to[4*at:], src[4*at:], rows, rows, c.channels*c.kernel)
			return
		}
		for ch := range c.channels {
			from := ((g*c.channels+ch)*c.rows + t*tallRows) * c.kernel
			interleave[[4]byte](to[4*(at+ch*c.kernel*rows):], src[4*from:], rows, rows, c.kernel)
		}
	})
	return nil
}
