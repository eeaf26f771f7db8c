package cuda

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// lasting puts a table that kernels read into memory of the device, once for each
// content; Close frees it.
func (b *Backend) lasting(table any) (driver.Pointer, error) {
	data, err := binary.Append(nil, binary.LittleEndian, table)
	if err != nil {
		return 0, fmt.Errorf("cuda: a table: %w", err)
	}
	key := sha256.Sum256(data)
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, ok := b.tables[key]; ok {
		return at, nil
	}
	at, err := b.device.Alloc(int64(max(len(data), 1)))
	if err == nil {
		err = b.stage.write(at, data)
	}
	if err != nil {
		return 0, fmt.Errorf("cuda: a table of %d bytes: %w", len(data), err)
	}
	b.tables[key] = at
	b.held.tables += int64(max(len(data), 1))
	return at, nil
}

// windowMax is the greatest of each window along an axis, and where it is.
//
//	x [outer, n, inner]   y, where [outer, size, inner]
func windowMax(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y, where, x                      driver.Pointer
		outer, n, size, inner            uint64
		kernel, stride, dilation, before uint64
		code, adaptive                   uint32
	}
	a, ok := attr.(op.WindowMaxAttr)
	ok = ok && len(in) == 1 && stored(in[0].DType) && in[0].DType == out[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(append([]kernels.Tensor{args.In[0]}, args.Out...)...)
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		outer, n, inner := kernels.Around(args.In[0].Shape, a.Axis)
		_, size, _ := kernels.Around(args.Out[0].Shape, a.Axis)
		p := &params{y: at[1], x: at[0], outer: uint64(outer), n: uint64(n), size: uint64(size), inner: uint64(inner), code: codes[args.In[0].DType]}
		p.kernel, p.stride, p.dilation, p.before = uint64(a.Kernel), uint64(a.Stride), uint64(a.Dilation), uint64(a.Before)
		if a.Where {
			p.where = at[2]
		}
		if a.Adaptive {
			p.adaptive = 1
		}
		return launch(b, "window", "window_max", overElements(args.Out[0].Len()), p)
	}}, ok
}

// resample is a linear map along an axis.
//
//	x [outer, n, inner]   y [outer, size, inner]
func resample(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y, x, first, index, weight driver.Pointer
		outer, n, size, inner      uint64
		code                       uint32
	}
	a, ok := attr.(op.ResampleAttr)
	ok = ok && len(in) == 1 && stored(in[0].DType) && in[0].DType == out[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0])
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		outer, n, inner := kernels.Around(args.In[0].Shape, a.Axis)
		_, size, _ := kernels.Around(args.Out[0].Shape, a.Axis)
		taps := a.Taps(n, size)
		p := &params{y: at[0], x: at[1], outer: uint64(outer), n: uint64(n), size: uint64(size), inner: uint64(inner), code: codes[args.In[0].DType]}
		weight := make([]float32, len(taps.Weight))
		for i, w := range taps.Weight {
			weight[i] = float32(w)
		}
		for _, t := range []struct {
			to    *driver.Pointer
			table any
		}{{&p.first, words(taps.First)}, {&p.index, words(taps.Index)}, {&p.weight, weight}} {
			if *t.to, err = b.lasting(t.table); err != nil {
				return nil, err
			}
		}
		return launch(b, "window", "resample", overElements(args.Out[0].Len()), p)
	}}, ok
}

func words(list []int) []uint32 {
	out := make([]uint32, len(list))
	for i, n := range list {
		out[i] = uint32(n)
	}
	return out
}

// windowParams is Windows of source/window.cu.
type windowParams struct {
	y, x                     driver.Pointer
	planes, taps, windows    uint64
	code                     uint32
	size, count, kernel      [3]uint32
	stride, dilation, before [3]int32
}

// last3 writes up to three numbers to the last places of three.
func last3[T int32 | uint32](to *[3]T, list []int, rest T) {
	*to = [3]T{rest, rest, rest}
	for i, n := range list {
		to[3-len(list)+i] = T(n)
	}
}

// windowed settles windows over planes of some sizes.
func windowed(a op.UnfoldAttr, planes int, size []int, x ir.DType) (*windowParams, error) {
	w, err := a.Windows(len(size))
	if err != nil {
		return nil, err
	}
	p := &windowParams{planes: uint64(planes), taps: uint64(prod(w.Kernel)), code: codes[x]}
	count := make([]int, len(size))
	for i, n := range size {
		count[i] = (n+w.Before[i]+w.After[i]-w.Dilation[i]*(w.Kernel[i]-1)-1)/w.Stride[i] + 1
	}
	p.windows = uint64(prod(count))
	last3(&p.size, size, 1)
	last3(&p.count, count, 1)
	last3(&p.kernel, w.Kernel, 1)
	last3(&p.stride, w.Stride, 1)
	last3(&p.dilation, w.Dilation, 1)
	last3(&p.before, w.Before, 0)
	return p, nil
}

// unfold lays the elements of windows side by side.
//
//	x [batch, channels, spatial...]   y [batch, channels*kernel, windows]
func unfold(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.UnfoldAttr)
	ok = ok && stored(in[0].DType) && in[0].DType == out[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		s := args.In[0].Shape
		return b.window("unfold", a, s[0]*s[1], s[2:], args)
	}}, ok
}

// fold adds windows where they overlap.
//
//	x [batch, channels*kernel, windows]   y [batch, channels, spatial...]
func fold(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.FoldAttr)
	ok = ok && stored(in[0].DType) && in[0].DType == out[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		s := args.Out[0].Shape
		return b.window("fold", a.Unfold(), s[0]*s[1], s[2:], args)
	}}, ok
}

func (b *Backend) window(name string, a op.UnfoldAttr, planes int, size []int, args kernels.Args) (kernels.Step, error) {
	at, err := b.pointers(args.Out[0], args.In[0])
	if err != nil || args.Out[0].Len() == 0 {
		return nothing, err
	}
	p, err := windowed(a, planes, size, args.In[0].DType)
	if err != nil {
		return nil, err
	}
	p.y, p.x = at[0], at[1]
	return launch(b, "window", name, overElements(args.Out[0].Len()), p)
}
