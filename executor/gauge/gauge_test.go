package gauge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/session"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

// device is the processor with a clock of its own: time goes on only while
// kernels run, and each takes what the test says.
type device struct {
	*cpu.Backend
	t     *testing.T
	now   time.Time
	calls map[string]int
	last  string // what ran before
	// cost is how long a call takes after another of some kind.
	cost func(s plan.Step, after string) time.Duration
}

type kernel struct {
	kernels.Kernel
	d    *device
	step plan.Step
}

func (d *device) Kernel(name string, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	k, ok := d.Backend.Kernel(name, attr, in, out)
	if !ok {
		return nil, false
	}
	made := plan.Step{Op: name, Attr: attr}
	for _, t := range append(slices.Clone(in), out...) {
		if t.DType != ir.Invalid {
			made.Bytes += t.Bytes()
		}
	}
	return kernel{k, d, made}, true
}

func (k kernel) Bind(args kernels.Args) (kernels.Step, error) {
	run, err := k.Kernel.Bind(args)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		for i, x := range args.In {
			k.d.check(fmt.Sprintf("%s input %d", k.step.Op, i), x)
		}
		id := fmt.Sprint(k.step.Op, k.step.Attr, k.step.Bytes)
		k.d.now = k.d.now.Add(k.d.cost(k.step, k.d.last))
		k.d.calls[id]++
		k.d.last = id
		return run(ctx)
	}, nil
}

// check fails for numbers that processors are slow with, and for such as
// come of nothing sensible.
func (d *device) check(what string, x kernels.Tensor) {
	if x.DType != ir.F32 {
		return
	}
	data := make([]byte, 4*x.Len())
	if x.Layout != "" {
		data = make([]byte, x.Buffer.Size()-x.Offset)
	}
	if err := x.Buffer.Read(x.Offset, data); err != nil {
		d.t.Fatal(err)
	}
	for ; len(data) > 0; data = data[4:] {
		v := math.Abs(float64(math.Float32frombits(binary.LittleEndian.Uint32(data))))
		if math.IsNaN(v) || math.IsInf(v, 0) || v != 0 && v < 0x1p-126 {
			d.t.Fatalf("%s holds %v", what, v)
		}
	}
}

// fixture is a small model on such a device.
func fixture(t *testing.T, cost func(s plan.Step, after string) time.Duration) (*device, *plan.Plan, Options) {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	m, err := schema.LoadModel("../../testdata/golden/arch/llama")
	if err != nil {
		t.Fatal(err)
	}
	p, err := compiler.Compile(m, table, compiler.Options{Entry: plan.Entry{Name: "forward"}, Target: be})
	if err != nil {
		t.Fatal(err)
	}
	made, err := p.Plan(map[string]int{"batch": 2, "seq": 8})
	if err != nil {
		t.Fatal(err)
	}
	d := &device{Backend: be, t: t, calls: map[string]int{}, cost: cost, now: time.Unix(1, 0)}
	return d, made, Options{Budget: time.Second, Now: func() time.Time { return d.now }, Feed: func(s *session.Session) error {
		return s.Write("ids", make([]byte, 4*2*8))
	}}
}

func measure(t *testing.T, d *device, p *plan.Plan, o Options) Estimate {
	t.Helper()
	list, err := Measure(context.Background(), d, []*plan.Plan{p}, o)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d estimates, %v", len(list), err)
	}
	if got := d.Allocated(); got != 0 {
		t.Errorf("%d bytes stay allocated", got)
	}
	return list[0]
}

// TestWhole checks that a plan that is quick is measured as a whole: a call
// that is slower among others than alone counts as it is among others.
func TestWhole(t *testing.T) {
	cost := func(s plan.Step, after string) time.Duration {
		x := 10*time.Microsecond + time.Duration(len(s.Op))*time.Microsecond
		if after != fmt.Sprint(s.Op, s.Attr, s.Bytes) {
			x *= 2
		}
		return x
	}
	d, p, o := fixture(t, cost)
	var want time.Duration
	calls := map[string]int{}
	for _, s := range p.Steps {
		want += 2 * (10*time.Microsecond + time.Duration(len(s.Op))*time.Microsecond)
		calls[s.Op]++
	}
	e := measure(t, d, p, o)
	if math.Abs(e.Seconds/want.Seconds()-1) > 0.05 || e.Measured != 1 {
		t.Errorf("%v seconds, %v of it measured; want %v", e.Seconds, e.Measured, want.Seconds())
	}
	var sum float64
	for i, x := range e.Ops {
		if sum += x.Seconds; x.Calls != calls[x.Name] || i > 0 && x.Seconds > e.Ops[i-1].Seconds {
			t.Errorf("%+v: want %d calls, and the longest first", x, calls[x.Name])
		}
	}
	if math.Abs(sum/e.Seconds-1) > 1e-9 || len(e.Ops) != len(calls) {
		t.Errorf("%d ops take %v of %v seconds", len(e.Ops), sum, e.Seconds)
	}
}

// TestBudget checks that a slow plan takes no longer to measure than it may,
// and that what was left out is concluded from what was measured.
func TestBudget(t *testing.T) {
	const slow = 5000 // times nominal
	cost := func(s plan.Step, _ string) time.Duration {
		return time.Duration(slow * (callSeconds + float64(s.Bytes)/bytesPerSecond) * float64(time.Second))
	}
	d, p, o := fixture(t, cost)
	for i := range p.Steps { // so that nominal costs are those of the device
		s := &p.Steps[i]
		s.FLOPs, s.Bytes = 0, 0
		for _, at := range placesOf(*s) {
			if at.State != plan.None {
				s.Bytes += at.Type.Bytes()
			}
		}
	}
	var want, most float64
	for _, s := range p.Steps {
		want += cost(s, "").Seconds()
		most = max(most, cost(s, "").Seconds())
	}
	o.Budget = time.Duration(want / 5 * float64(time.Second))
	begin := d.now
	e := measure(t, d, p, o)
	if spent := d.now.Sub(begin).Seconds(); spent > o.Budget.Seconds()+2*most {
		t.Errorf("measured for %v seconds of %v", spent, o.Budget.Seconds())
	}
	if math.Abs(e.Seconds/want-1) > 0.01 || e.Measured <= 0.1 {
		t.Errorf("%v seconds, %v of it measured; want %v", e.Seconds, e.Measured, want)
	}
	o.Budget = 0
	if e := measure(t, d, p, o); e.Seconds <= 0 || e.Measured > 0.5 {
		t.Errorf("without time to measure: %v seconds, %v of it measured", e.Seconds, e.Measured)
	}
}

// TestTwoPlans checks that what was measured for one plan counts for another,
// where there is time for neither as a whole.
func TestTwoPlans(t *testing.T) {
	d, p, o := fixture(t, func(plan.Step, string) time.Duration { return 30 * time.Millisecond })
	list, err := Measure(context.Background(), d, []*plan.Plan{p, p}, o)
	if err != nil {
		t.Fatal(err)
	}
	want := float64(len(p.Steps)) * 0.03
	a, b := list[0], list[1]
	if a.Measured <= 0.5 || b.Measured <= a.Measured || math.Abs(b.Seconds-want) > math.Abs(a.Seconds-want) || math.Abs(b.Seconds/want-1) > 0.05 {
		t.Errorf("%v seconds, %v of it measured, then %v, %v; want %v", a.Seconds, a.Measured, b.Seconds, b.Measured, want)
	}
}

// TestCancelled checks that measuring ends with its context.
func TestCancelled(t *testing.T) {
	d, p, o := fixture(t, func(plan.Step, string) time.Duration { return time.Microsecond })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Measure(ctx, d, []*plan.Plan{p}, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
