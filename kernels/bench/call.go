package bench

import (
	"bytes"
	"context"
	"errors"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
)

// period is how many sampled values there are before they repeat. It is prime,
// so that rows differ.
const period = 65521

// Call is a case whose inputs lie on the device, weights in the layout that
// the backend prefers.
type Call struct {
	be      kernels.Backend
	step    kernels.Step
	buffers []kernels.Buffer
}

// Bind places the arguments of a case. Free the result.
func (c *Case) Bind(be kernels.Backend) (*Call, error) {
	call := &Call{be: be}
	if err := call.bind(c); err != nil {
		return nil, errors.Join(err, call.Free())
	}
	return call, nil
}

func (call *Call) bind(c *Case) error {
	args := kernels.Args{Attr: c.of.Attr, In: make([]kernels.Tensor, len(c.in)), Out: make([]kernels.Tensor, len(c.out))}
	layouts := cases.Layouts(call.be, c.Op, c.of.Attr, c.in)[0]
	_, sampled := cases.Sample(c.Op, c.of, small(c.in))
	for i, t := range c.in {
		if t.DType == ir.Invalid {
			continue
		}
		one := sampled[i]
		data := bytes.Repeat(one, int(t.Bytes())/max(1, len(one))+1)[:t.Bytes()]
		var err error
		if args.In[i], err = call.place(t, layouts[i], data); err != nil {
			return err
		}
	}
	for i, t := range c.out {
		var err error
		if args.Out[i], err = call.place(t, "", nil); err != nil {
			return err
		}
	}
	if n := c.kernel.Scratch(c.of.Attr, c.in, c.out); n > 0 {
		var err error
		if args.Scratch, err = call.place(ir.T(ir.U8, int(n)), "", nil); err != nil {
			return err
		}
	}
	var err error
	call.step, err = c.kernel.Bind(args)
	return err
}

// small gives types with so few elements that sampling is quick.
func small(in []ir.Type) []ir.Type {
	out := make([]ir.Type, len(in))
	for i, t := range in {
		if out[i] = t; t.DType != ir.Invalid && t.Elems() > period {
			elems, _ := t.DType.Block()
			out[i] = ir.T(t.DType, period/elems*elems)
		}
	}
	return out
}

// place allocates a tensor and fills it, if there are data.
func (call *Call) place(t ir.Type, l ir.Layout, data []byte) (kernels.Tensor, error) {
	size := t.Bytes()
	if l != "" {
		size = call.be.LayoutBytes(l, t)
	}
	b, err := call.be.Alloc(size)
	if err != nil {
		return kernels.Tensor{}, err
	}
	call.buffers = append(call.buffers, b)
	switch {
	case data == nil:
	case l == "":
		err = b.Write(0, data)
	default:
		err = call.be.Pack(l, t, b, 0, data)
	}
	return kernels.Tensor{Buffer: b, DType: t.DType, Shape: t.Sizes(), Layout: l}, err
}

// Run runs the kernel once and waits for its end.
func (call *Call) Run(ctx context.Context) error {
	if err := call.step(ctx); err != nil {
		return err
	}
	return call.be.Sync(ctx)
}

// Free gives the memory back.
func (call *Call) Free() error {
	var errs []error
	for _, b := range call.buffers {
		errs = append(errs, b.Free())
	}
	call.buffers = nil
	return errors.Join(errs...)
}
