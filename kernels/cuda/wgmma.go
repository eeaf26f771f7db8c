package cuda

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/half"
)

// wgmmaCapability is the only compute capability that has wgmma.
const wgmmaCapability = 90

// leastAsync is the least of columns and of terms of a sum that a product by wgmma has.
const leastAsync = 256

// asyncForm is one of the kernels of source/product_wgmma.h. Both give the same bits.
type asyncForm struct {
	name                  string
	rows, columns, stages int
}

var asyncForms = struct{ small, large asyncForm }{
	small: asyncForm{"64", 64, 64, 8},
	large: asyncForm{"128", 128, 192, 5},
}

// threads has a group for each 64 rows, and one that brings operands.
func (f asyncForm) threads() int { return f.rows*2 + 128 }

// room is the shared memory of a block, in bytes, as Ring lays it out.
func (f asyncForm) room() int {
	const start, drawer, barriers = 1024, 16 * 40 * 4, 16
	return start + f.stages*(128*(f.rows+f.columns)+barriers) + f.rows/16*drawer
}

// asyncParams is Async of source/product_wgmma.h.
type asyncParams struct {
	matmulParams
	late driver.Pointer
}

// asyncLies says how operands lie, as the kernels' names have it; "" if they lie as none reads them.
// It depends on sizes other than the number of rows, but where these are neighbours, of which
// there must be a multiple of 8.
func (p *matmulParams) asyncLies() string {
	eight := func(s strides) bool {
		for _, v := range s[:p.batch.rank] {
			if v%8 != 0 {
				return false
			}
		}
		return true
	}
	a, lies := p.aRow, "k"
	if p.aColumn != 1 {
		a, lies = p.aColumn, "m"
	}
	b, how := p.bColumn, "k"
	if p.bRow != 1 {
		b, how = p.bRow, "n"
	}
	if lies+how == "mk" || p.aRow != 1 && p.aColumn != 1 || p.bRow != 1 && p.bColumn != 1 || a%8 != 0 || b%8 != 0 || p.a%16 != 0 || p.b%16 != 0 ||
		p.expertApart%8 != 0 || !eight(p.batch.stride[0]) || !eight(p.batch.stride[1]) {
		return ""
	}
	return lies + how
}

// asyncProduct returns the step of a product by wgmma; nil where it goes by mma. Which of
// them does not depend on the number of rows, since the bits do on it. It is asked for products of the op
// matmul, as trainings have them: layers of pipelines are for few rows, too, of which mma keeps memory busier.
func (b *Backend) asyncProduct(p *matmulParams, family string) (kernels.Step, error) {
	if b.device.Capability() != wgmmaCapability || family != "bf16" && family != "f16" || p.up != 0 || min(p.n, p.k) < leastAsync {
		return nil, nil
	}
	lies := p.asyncLies()
	if lies == "" {
		return nil, nil
	}
	if good, err := b.proven(family, lies); err != nil || !good {
		return nil, err
	}
	f := asyncForms.large
	if p.m <= 64 || 2*f.tiles(p) < b.device.Multiprocessors {
		f = asyncForms.small
	}
	return b.async(&asyncParams{matmulParams: *p}, family, lies, f)
}

// tiles is how many of them a product has.
func (f asyncForm) tiles(p *matmulParams) int {
	return parts(int(p.m), f.rows) * parts(int(p.n), f.columns) * int(p.batch.n)
}

// async returns the step of a product by a form: a block for each processor at most.
func (b *Backend) async(p *asyncParams, family, lies string, f asyncForm) (kernels.Step, error) {
	g := grid{driver.Dim{X: min(f.tiles(&p.matmulParams), max(1, b.device.Multiprocessors)), Y: 1, Z: 1}, f.threads()}
	return launchRoom(b, "product_wgmma_"+family, "product_wgmma_"+family+"_"+lies+"_"+f.name, g, f.room(), p)
}

// proven reports whether products by wgmma of a type that lie so give what they must on
// this device.
func (b *Backend) proven(family, lies string) (bool, error) {
	t := &trial{b: b, family: family, lies: lies}
	return b.tried(family+lies, fmt.Sprintf("products of %s by wgmma (%s)", family, lies), t)
}

// tried runs a trial when the first of its name is asked for. Where it goes wrong, that is told once.
func (b *Backend) tried(name, what string, t interface {
	run() (why string, err error)
	free()
}) (bool, error) {
	b.wgmma.Lock()
	defer b.wgmma.Unlock()
	if good, tried := b.wgmma.good[name]; tried {
		return good, nil
	}
	defer t.free()
	why, err := t.run()
	if err != nil {
		return false, fmt.Errorf("cuda: trying %s: %w", what, err)
	}
	if why != "" {
		fmt.Fprintf(b.wgmma.warn, "pipe: on %s (driver %s) %s %s; mma.sync is taken, at half the speed. Please report this.\n", b.device.Name, b.device.Version(), what, why)
	}
	b.wgmma.good[name] = why == ""
	return why == "", nil
}

// trial is a product by which wgmma is tried: tiles that are not full in any direction, sums of a piece
// and a part of one. Of whole numbers all sums are exact, whatever their order.
type trial struct {
	b            *Backend
	family, lies string
	held         []kernels.Buffer
}

const (
	trialRows, trialColumns, trialTerms = 136, 200, 584
	trialSums                           = 4 * trialRows * trialColumns // bytes
)

func (t *trial) free() {
	for _, u := range t.held {
		_ = u.Free()
	}
}

// run returns what is wrong, if something is.
func (t *trial) run() (why string, err error) {
	r := rand.New(rand.NewPCG(5, 6))
	whole := func() float32 { return float32(r.IntN(17) - 8) }
	exact, why, err := t.forms(whole, true)
	if why != "" || err != nil {
		return why, err
	}
	for _, got := range exact[1:] {
		if !bytes.Equal(got, exact[0]) {
			return "differ from those by mma.sync", nil
		}
	}
	any, why, err := t.forms(func() float32 { return float32(r.NormFloat64()) }, false)
	if why == "" && err == nil && !bytes.Equal(any[0], any[1]) {
		why = "have other bits in tiles of other sizes"
	}
	return why, err
}

// forms are the products by each form, and before them by mma.sync if that is asked for.
func (t *trial) forms(value func() float32, mma bool) (out [][]byte, why string, err error) {
	x, err := t.put(trialRows*trialTerms, value)
	if err != nil {
		return nil, "", err
	}
	w, err := t.put(trialColumns*trialTerms, value)
	if err != nil {
		return nil, "", err
	}
	p := matmulParams{a: x.at, b: w.at, m: trialRows, n: trialColumns, k: trialTerms, aRow: trialTerms, aColumn: 1, bRow: 1, bColumn: trialTerms, batch: walk[strides2]{n: 1}}
	p.aCode = codes[map[string]ir.DType{"bf16": ir.BF16, "f16": ir.F16}[t.family]]
	p.bCode = p.aCode
	if t.lies[0] == 'm' {
		p.aRow, p.aColumn = 1, trialRows
	}
	if t.lies[1] == 'n' {
		p.bRow, p.bColumn = trialColumns, 1
	}
	if mma {
		got, why, err := t.product(trialSums, func(y, _ driver.Pointer) (kernels.Step, error) {
			p.y = y
			return t.b.onTensorCores(&p, t.family, forms.tile)
		})
		if why != "" || err != nil {
			return nil, why, err
		}
		out = append(out, got)
	}
	for _, f := range []asyncForm{asyncForms.large, asyncForms.small} {
		got, why, err := t.product(trialSums, func(y, late driver.Pointer) (kernels.Step, error) {
			p.y = y
			return t.b.async(&asyncParams{p, late}, t.family, t.lies, f)
		})
		if why != "" || err != nil {
			return nil, why, err
		}
		out = append(out, got)
	}
	return out, "", nil
}

// put has n numbers on the device.
func (t *trial) put(n int, value func() float32) (*buffer, error) {
	data := make([]byte, 2*n)
	for i := range n {
		h := half.F32ToF16(value())
		if t.family == "bf16" {
			h = half.F32ToBF16(half.F16ToF32(h))
		}
		data[2*i], data[2*i+1] = byte(h), byte(h>>8)
	}
	u, err := t.alloc(len(data))
	if err == nil {
		err = u.Write(0, data)
	}
	return u, err
}

func (t *trial) alloc(n int) (*buffer, error) {
	u, err := t.b.Alloc(int64(n))
	if err != nil {
		return nil, err
	}
	t.held = append(t.held, u)
	return u.(*buffer), nil
}

// product runs a step that writes n bytes to y, and says late if it waited too long. A kernel that the driver
// does not take is what is wrong, and no error.
func (t *trial) product(n int, bind func(y, late driver.Pointer) (kernels.Step, error)) (y []byte, why string, err error) {
	u, err := t.alloc(n + 16)
	if err != nil {
		return nil, "", err
	}
	step, err := bind(u.at, u.at+driver.Pointer(n))
	if err != nil {
		return nil, fmt.Sprintf("can't be: %v", err), nil
	}
	y, late := make([]byte, n), make([]byte, 1)
	if err = step(context.Background()); err == nil {
		err = u.Read(0, y)
	}
	if err == nil {
		err = u.Read(int64(n), late)
	}
	if late[0] != 0 {
		why = "waited for what never came"
	}
	return y, why, err
}
