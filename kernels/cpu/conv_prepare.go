package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// weights is the number of weights.
func (c *convolving) weights() int { return c.groups * c.rows * c.channels * c.kernel }

// prepares reports whether weights must be copied: to another type, or into
// tall panels unless they lie so.
func (c *convolving) prepares(w ir.DType, tall bool) bool {
	return w != ir.F32 || !c.direct() && !tall
}

// prepare returns the step that copies weights: widened for lines, into tall
// panels for products.
func (c *convolving) prepare() kernels.Step {
	if c.direct() {
		return c.widen()
	}
	talls := c.talls()
	if c.adjoint {
		return c.b.step(c.groups*talls*c.channels, func(worker, id int) {
			ch := id % c.channels
			id /= c.channels
			at, rows := c.tallOf(id/talls, id%talls)
			from := ((id/talls*c.channels+ch)*c.rows + id%talls*tallRows) * c.kernel
			c.columns(c.a[at+ch*c.kernel*rows:], c.b.local[worker], from, c.kernel, rows, c.kernel)
		})
	}
	k := c.channels * c.kernel
	chunks := parts(k, convK)
	return c.b.step(c.groups*talls*chunks, func(worker, id int) {
		lo, hi := span(id%chunks, k, convK)
		id /= chunks
		at, rows := c.tallOf(id/talls, id%talls)
		c.columns(c.a[at+lo*rows:], c.b.local[worker], at+lo, k, rows, hi-lo)
	})
}

// widen returns the step that copies weights as they lie, to f32.
func (c *convolving) widen() kernels.Step {
	return c.b.step(parts(c.w.n, grain), func(_, id int) {
		lo, hi := span(id, c.w.n, grain)
		c.w.load(c.a[lo:hi], lo)
	})
}

// columns writes n weights of each of some rows, which begin stride apart at
// weight i, as to[l*rows+r].
func (c *convolving) columns(to, local []float32, i, stride, rows, n int) {
	done := 0
	if wide := multiple(n, 16); rows == tallRows && (wide+1)*rows <= len(local) && i+(rows-1)*stride+wide <= c.w.n {
		c.b.asm.Interleave[c.w.storage()](rows, wide, c.w.at(i), c.w.dtype.Size()*stride, &local[0])
		done = n
		copy(to[:n*rows], local)
	}
	for l := done; l < n; l++ {
		for r := range rows {
			to[l*rows+r] = c.w.one(i + r*stride + l)
		}
	}
}
