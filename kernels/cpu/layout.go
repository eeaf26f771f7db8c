package cpu

import (
	"fmt"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// The layouts of weights. N32 is panels of 32 output columns: panel p holds,
// for k = 0 ... in-1, the 32 elements w[32p ... 32p+31][k], zero where there
// is no such row. N32 is made of a weight [out, in]; N32T is the same memory
// made of a weight that is stored as [in, out].
const (
	N32  ir.Layout = "n32"
	N32T ir.Layout = "n32t"
)

// productLayout is the layout of weight input i of an op that multiplies by it.
func (b *Backend) productLayout(name string, attr any, i int, weight ir.Type) ir.Layout {
	if weight.DType.Blocked() {
		return blocksLayout(name, attr, i, weight)
	}
	if l := convLayout(name, attr, i, weight); l != "" {
		return l
	}
	if a, ok := attr.(op.ExpertLinearAttr); ok && i == 2 && len(weight.Shape) == 3 && stored(weight.DType) && !a.Transpose {
		return N32
	}
	if len(weight.Shape) != 2 || !stored(weight.DType) {
		return ""
	}
	switch {
	case name == "linear" && i == 1:
		if a, ok := attr.(op.LinearAttr); ok && a.Transpose {
			return N32T
		}
		return N32
	case name == "gated_linear" && (i == 1 || i == 2):
		return N32
	case name == "gated_halves" && i == 1 && weight.Sizes()[0]%(2*asm.Panel) == 0: // so that the second half begins with a panel
		return N32
	}
	return ""
}

// Layout returns the layout that op reads fastest.
func (b *Backend) Layout(name string, attr any, i int, weight ir.Type) ir.Layout {
	return b.productLayout(name, attr, i, weight)
}

// Accepts reports whether op can read weight input i in layout l. All can be
// read row-major; a table of vectors may be packed for the product that it is
// tied to.
func (b *Backend) Accepts(name string, attr any, i int, weight ir.Type, l ir.Layout) bool {
	if l == "" {
		return true
	}
	if packs(weight.DType) && l == BN32 && len(weight.Shape) == 2 && name == "embedding" && i == 1 {
		return true
	}
	if l == N32 && len(weight.Shape) == 2 && stored(weight.DType) {
		if name == "embedding" && i == 1 {
			return true
		}
		if a, ok := attr.(op.AxisAttr); ok && name == "gather" && i == 0 && (a.Axis == 0 || a.Axis == -2) {
			return true
		}
	}
	return l == b.productLayout(name, attr, i, weight)
}

// outIn returns how a weight of a packed layout is seen: out, in.
func outIn(l ir.Layout, sizes []int) (out, in int) {
	if l == N32T {
		return sizes[1], sizes[0]
	}
	return sizes[0], sizes[1]
}

// LayoutBytes returns the bytes of a weight in layout l.
func (b *Backend) LayoutBytes(l ir.Layout, weight ir.Type) int64 {
	if (l == N32 || l == BN32) && len(weight.Shape) == 3 { // one after the other
		return int64(weight.Shape[0].N) * b.LayoutBytes(l, weight.With(weight.Shape[1:]...))
	}
	if n, ok := b.convLayoutBytes(l, weight); ok {
		return n
	}
	if l == "" || len(weight.Shape) != 2 {
		return weight.Bytes()
	}
	out, in := outIn(l, weight.Sizes())
	if p, ok := packingOf(weight.DType); ok {
		return int64(parts(out, asm.Panel)) * int64(p.panelBytes(in))
	}
	return int64(parts(out, asm.Panel)) * ir.T(weight.DType, asm.Panel, in).Bytes()
}

// Pack writes src, row-major, into dst at offset in layout l.
func (b *Backend) Pack(l ir.Layout, weight ir.Type, dst kernels.Buffer, offset int64, src []byte) error {
	if int64(len(src)) != weight.Bytes() {
		return fmt.Errorf("cpu: pack %v: %d bytes of source, want %d", weight, len(src), weight.Bytes())
	}
	if l == "" {
		return dst.Write(offset, src)
	}
	if (l == N32 || l == BN32) && len(weight.Shape) == 3 {
		one := weight.With(weight.Shape[1:]...)
		for i := range weight.Shape[0].N {
			if err := b.Pack(l, one, dst, offset+int64(i)*b.LayoutBytes(l, one), src[int64(i)*one.Bytes():int64(i+1)*one.Bytes()]); err != nil {
				return err
			}
		}
		return nil
	}
	_, conv := b.convLayoutBytes(l, weight)
	if !conv && ((l != N32 && l != N32T || weight.DType.Blocked()) && (l != BN32 || !packs(weight.DType)) || len(weight.Shape) != 2) {
		return fmt.Errorf("cpu: can't pack %v as %q", weight, l)
	}
	u, ok := dst.(*buffer)
	if !ok || !u.own {
		return fmt.Errorf("cpu: pack into memory that is read-only or of another device")
	}
	n := b.LayoutBytes(l, weight)
	if err := u.check("pack", offset, int(n)); err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	if conv {
		return b.packConv(l, weight, u.data[offset:offset+n], src)
	}
	out, in := outIn(l, weight.Sizes())
	size := weight.DType.Size()
	to := u.data[offset : offset+n]
	if weight.DType.Blocked() {
		b.packBlocks(weight.DType, to, src, out, in)
		return nil
	}
	if uintptr(unsafe.Pointer(&to[0]))%uintptr(size) != 0 {
		return fmt.Errorf("cpu: pack %v at offset %d, which is not aligned", weight, offset)
	}
	b.pool.Run(parts(out, asm.Panel), func(_, p int) {
		panel := to[p*asm.Panel*in*size : (p+1)*asm.Panel*in*size]
		columns := min(asm.Panel, out-p*asm.Panel)
		if columns < asm.Panel {
			clear(panel)
		}
		switch {
		case l == N32T:
			for k := range in {
				at := (k*out + p*asm.Panel) * size
				copy(panel[k*asm.Panel*size:], src[at:at+columns*size])
			}
		case size == 4:
			interleave[[4]byte](panel, src[p*asm.Panel*in*size:], asm.Panel, columns, in)
		default:
			interleave[[2]byte](panel, src[p*asm.Panel*in*size:], asm.Panel, columns, in)
		}
	})
	return nil
}

// interleave writes panel[k][j] = src[j][k] for j < columns, of the width of
// the panel. Elements move as bytes, since src may not be aligned.
func interleave[E any](panel, src []byte, width, columns, in int) {
	if in == 0 {
		return
	}
	to := unsafe.Slice((*E)(unsafe.Pointer(&panel[0])), width*in)
	from := unsafe.Slice((*E)(unsafe.Pointer(&src[0])), columns*in)
	const block = 16 // so that the written lines stay in the cache
	for k0 := 0; k0 < in; k0 += block {
		n := min(block, in-k0)
		for j := range columns {
			for k, e := range from[j*in+k0 : j*in+k0+n] {
				to[(k0+k)*width+j] = e
			}
		}
	}
}
