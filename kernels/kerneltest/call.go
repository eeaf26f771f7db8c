package kerneltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// guard is the fewest bytes that are watched on either side of a tensor.
const guard = 64

// poison fills memory that no kernel may read: NaN in every float type.
const poison = 0xff

// region is a buffer with one tensor in its middle.
type region struct {
	tensor kernels.Tensor
	size   int64 // bytes of the tensor
}

// place allocates a tensor amid poison and fills it, with poison if data is nil.
func place(be kernels.Backend, t ir.Type, l ir.Layout, data []byte) (region, error) {
	size := be.LayoutBytes(l, t)
	if l == "" {
		size = t.Bytes()
	}
	lead := (guard + be.Align() - 1) / be.Align() * be.Align()
	buf, err := be.Alloc(lead + size + guard)
	if err != nil {
		return region{}, err
	}
	if err := buf.Write(0, bytes.Repeat([]byte{poison}, int(lead+size+guard))); err != nil {
		return region{}, err
	}
	r := region{kernels.Tensor{Buffer: buf, Offset: lead, DType: t.DType, Shape: t.Sizes(), Layout: l}, size}
	switch {
	case data == nil:
	case l == "":
		err = buf.Write(lead, data)
	default:
		err = be.Pack(l, t, buf, lead, data)
	}
	return r, err
}

// bytes returns the tensor's memory, and an error if its surroundings changed.
func (r region) bytes() ([]byte, error) {
	all := make([]byte, r.tensor.Offset+r.size+guard)
	if err := r.tensor.Buffer.Read(0, all); err != nil {
		return nil, err
	}
	lead, end := int(r.tensor.Offset), int(r.tensor.Offset+r.size)
	for i, v := range all {
		if v != poison && (i < lead || i >= end) {
			return nil, fmt.Errorf("writes at byte %d of a tensor of %d bytes", i-lead, r.size)
		}
	}
	return all[lead:end], nil
}

// call is one kernel with its placed arguments.
type call struct {
	be      kernels.Backend
	kernel  kernels.Kernel
	attr    any
	in      []region
	data    [][]byte // of the inputs, as written
	out     []region
	outType []ir.Type
	scratch region
	step    kernels.Step
}

// bind places the arguments of a kernel and binds it. in[i] is laid out as
// layouts[i]; output o lies where input over[o] lies, unless that is -1 or over
// is too short.
func bind(be kernels.Backend, k kernels.Kernel, attr any, in, out []ir.Type, data [][]byte, layouts []ir.Layout, over []int) (*call, error) {
	c := &call{be: be, kernel: k, attr: attr, outType: out, data: make([][]byte, len(in)), in: make([]region, len(in)), out: make([]region, len(out))}
	args := kernels.Args{Attr: attr}
	for i, t := range in {
		if t.DType != ir.Invalid {
			r, err := place(be, t, layouts[i], data[i])
			if err != nil {
				return nil, err
			}
			c.in[i] = r
			if c.data[i], err = r.bytes(); err != nil {
				return nil, fmt.Errorf("packing input %d: %w", i, err)
			}
		}
		args.In = append(args.In, c.in[i].tensor)
	}
	for i, t := range out {
		r, err := place(be, t, "", nil)
		if err != nil {
			return nil, err
		}
		if i < len(over) && over[i] >= 0 {
			r = c.in[over[i]]
			r.tensor.DType, r.tensor.Shape = t.DType, t.Sizes()
		}
		c.out[i] = r
		args.Out = append(args.Out, r.tensor)
	}
	var err error
	if n := k.Scratch(attr, in, out); n > 0 {
		if c.scratch, err = place(be, ir.T(ir.U8, int(n)), "", nil); err != nil {
			return nil, err
		}
		args.Scratch = c.scratch.tensor
	}
	c.step, err = k.Bind(args)
	return c, err
}

// run runs the step once and returns the bytes of the outputs, having looked
// at everything that it may not touch. over is as for bind.
func (c *call) run(over []int) ([][]byte, error) {
	ctx := context.Background()
	if err := errors.Join(c.step(ctx), c.be.Sync(ctx)); err != nil {
		return nil, err
	}
	out := make([][]byte, len(c.out))
	for i, r := range c.out {
		var err error
		if out[i], err = r.bytes(); err != nil {
			return nil, fmt.Errorf("output %d: %w", i, err)
		}
	}
	for i, r := range c.in {
		if r.tensor.Buffer == nil || slices.Contains(over, i) {
			continue
		}
		if got, err := r.bytes(); err != nil || !bytes.Equal(got, c.data[i]) {
			return nil, fmt.Errorf("input %d was written to (%v)", i, err)
		}
	}
	if c.scratch.tensor.Buffer != nil {
		if _, err := c.scratch.bytes(); err != nil {
			return nil, fmt.Errorf("scratch: %w", err)
		}
	}
	return out, nil
}

// free gives all memory back.
func (c *call) free() error {
	var errs []error
	seen := map[kernels.Buffer]bool{}
	for _, rs := range [][]region{c.in, c.out, {c.scratch}} {
		for _, r := range rs {
			if b := r.tensor.Buffer; b != nil && !seen[b] {
				seen[b] = true
				errs = append(errs, b.Free())
			}
		}
	}
	return errors.Join(errs...)
}
