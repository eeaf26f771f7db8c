package lift

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// windows adds windows over pictures and signals where they overlap; x is [batch, channels*kernel, windows].
func windows(c *call) *value {
	x := c.in(0)
	size, kernel := c.whole(c.in(1), "sizes"), c.whole(c.in(2), "kernel sizes")
	n := len(size)
	if n < 1 || n > 3 || len(kernel) != n {
		fail("has %d sizes and a kernel of %d axes, want 1 to 3 of both", n, len(kernel))
	}
	var dims []ir.Dim
	for i, d := range size {
		if d < 1 || kernel[i] < 1 {
			fail("has a size of %d and a kernel of %d along axis %d", d, kernel[i], i)
		}
		dims = append(dims, ir.D(d))
	}
	return c.op("fold", op.FoldAttr{Size: op.MakeDims(dims...), Kernel: short1(kernel), Stride: short1(c.perAxis("strides", n, n, 1)),
		Padding: padding(c.perAxis("pads", n, 2*n, 0)), Dilation: short1(c.perAxis("dilations", n, n, 1))}, x)
}
