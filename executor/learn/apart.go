package learn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/session"
	"pipe.dev/kernels"
	"pipe.dev/kernels/half"
)

// side is a device, and what a training holds there.
type side struct {
	backend kernels.Backend
	store   *session.Store
	arena   kernels.Buffer
}

// open allocates what plans need but for weights, and those weights that are copies of another side's.
func (s *side) open(b kernels.Backend, plans []*plan.Plan, copies func(path string) bool) error {
	s.backend, s.store = b, session.NewStore(b)
	states := session.Largest(plans)
	if err := s.store.Room(states); err != nil {
		return err
	}
	if err := s.store.Reserve(states); err != nil {
		return err
	}
	for _, st := range states {
		if !copies(st.Path) {
			continue
		}
		if err := s.store.Vacant([]plan.State{st}); err != nil {
			return err
		}
	}
	var err error
	s.arena, err = b.Alloc(session.WorkBytes(plans))
	return err
}

// bytes is what was allocated.
func (s *side) bytes() int64 {
	if s.store == nil || s.arena == nil {
		return 0
	}
	return s.store.Bytes() + s.arena.Size()
}

// close gives the memory back.
func (s *side) close() error {
	var err error
	if s.store != nil {
		err = s.store.Free()
	}
	if s.arena != nil {
		err = errors.Join(err, s.arena.Free())
	}
	return err
}

// onHost reports whether a plan runs on the host: that of an update which is apart.
func (p Plans) onHost(x *plan.Plan) bool {
	for _, part := range p {
		if part.Begin != nil && part.Update == x {
			return true
		}
	}
	return false
}

// on lists the plans of the host, or those of the device.
func (p Plans) on(host bool) []*plan.Plan {
	var list []*plan.Plan
	for _, x := range p.all() {
		if p.onHost(x) == host {
			list = append(list, x)
		}
	}
	return list
}

// shared is a state that lies on both sides. Sums of gradients are made on the device and read on the
// host; weights, their averages and a loss scale change on the host and are read on the device.
type shared struct {
	sum   bool
	stale bool // on the device
	bytes int64
}

// sharedStates lists the states that both sides hold, by path.
func sharedStates(p Plans) map[string]*shared {
	host, both := map[string]bool{}, map[string]*shared{}
	for _, st := range session.Largest(p.on(true)) {
		host[st.Path] = true
	}
	for _, st := range session.Largest(p.on(false)) {
		if host[st.Path] {
			sum := st.Kind == ir.Gradient
			both[st.Path] = &shared{sum: sum, stale: !sum, bytes: st.Type.Bytes()}
		}
	}
	return both
}

// widen finds weights whose copies one plan of the device has narrower than another, and asks for wide ones. It reports
// whether there are any: then plans must be made anew.
func (r *Run) widen() bool {
	types, found := map[string]ir.DType{}, false
	for _, p := range r.plans.on(false) {
		for _, st := range p.States {
			d, seen := types[st.Path]
			if types[st.Path] = st.Type.DType; seen && d != st.Type.DType && !r.Recipe.wide[st.Path] {
				if r.Recipe.wide == nil {
					r.Recipe.wide = map[string]bool{}
				}
				r.Recipe.wide[st.Path], found = true, true
			}
		}
	}
	return found
}

// home is where a state is read and written from outside: the host, if it holds the state.
func (t *Trainer) home(path string) *session.Store {
	if t.host.store != nil && t.onHost[path] {
		return t.host.store
	}
	return t.device.store
}

// readState copies a state that lies row-major.
func (t *Trainer) readState(path string, dst []byte) error { return t.home(path).Read(path, dst) }

// newState fills a weight with values in C order.
func (t *Trainer) newState(s plan.State, data []byte) error { return t.home(s.Path).New(s, data) }

// loadStates reads weights from a checkpoint, where name gives what it calls them.
func (t *Trainer) loadStates(c *checkpoint.Checkpoint, name func(path string) string, states []plan.State) error {
	byHome := map[*session.Store][]plan.State{}
	for _, s := range states {
		h := t.home(s.Path)
		byHome[h] = append(byHome[h], s)
	}
	for _, store := range []*session.Store{t.device.store, t.host.store} {
		if len(byHome[store]) == 0 {
			continue
		}
		if err := store.Load(c, name, byHome[store], nil); err != nil {
			return err
		}
	}
	return nil
}

// toDevice copies to the device what a plan reads there and the host has changed since.
func (t *Trainer) toDevice(p *plan.Plan) error {
	for _, st := range p.States {
		s := t.shared[st.Path]
		if s == nil || !s.stale {
			continue
		}
		from, to, err := t.sides(st.Path)
		if err != nil {
			return err
		}
		if st.Type.DType == ir.F32 {
			err = to.Buffer.Write(to.Offset, from)
		} else {
			err = t.narrowed(st.Type.DType, from, to)
		}
		if err != nil {
			return err
		}
		s.stale = false
	}
	return nil
}

// narrowed writes numbers of f32 to the device as bf16 or f16, rounded as a cast does, a piece at a time.
func (t *Trainer) narrowed(d ir.DType, from []byte, to kernels.Tensor) error {
	round := half.F32ToBF16
	if d == ir.F16 {
		round = half.F32ToF16
	}
	const piece = 2 << 20 // numbers
	if t.piece == nil {
		t.piece = make([]byte, 2*piece)
	}
	for at := to.Offset; len(from) > 0; {
		n := min(len(from)/4, piece)
		runs := min(runtime.GOMAXPROCS(0), 1+n>>14)
		var wait sync.WaitGroup
		for r := range runs {
			wait.Go(func() {
				for i := r * n / runs; i < (r+1)*n/runs; i++ {
					x := math.Float32frombits(binary.LittleEndian.Uint32(from[4*i:]))
					binary.LittleEndian.PutUint16(t.piece[2*i:], round(x))
				}
			})
		}
		wait.Wait()
		if err := to.Buffer.Write(at, t.piece[:2*n]); err != nil {
			return err
		}
		from, at = from[4*n:], at+int64(2*n)
	}
	return nil
}

// toHost copies to the host the sums that an update reads.
func (t *Trainer) toHost(update *plan.Plan) error {
	for _, st := range update.States {
		if s := t.shared[st.Path]; s == nil || !s.sum {
			continue
		}
		to, from, err := t.sides(st.Path)
		if err != nil {
			return err
		}
		if err := from.Buffer.Read(from.Offset, to); err != nil {
			return err
		}
	}
	return nil
}

// sides are both places of a shared state.
func (t *Trainer) sides(path string) (host []byte, device kernels.Tensor, err error) {
	h, ok := t.host.store.Tensor(path)
	device, there := t.device.store.Tensor(path)
	memory, direct := h.Buffer.(kernels.Direct)
	if !ok || !there || !direct || h.DType != ir.F32 || h.Len() != device.Len() {
		return nil, device, fmt.Errorf("state %s can't cross from one device to the other", path)
	}
	n := int64(h.Len() * h.DType.Size())
	return memory.Bytes()[h.Offset : h.Offset+n], device, nil
}

// begin sets sums to 0, where the update does not.
func (t *Trainer) begin(ctx context.Context, p PartPlans) error {
	if p.Begin == nil {
		return nil
	}
	return t.sessions[p.Begin].Run(ctx)
}

// update makes a step of the sums, once the inputs of its session are there.
func (t *Trainer) update(ctx context.Context, p PartPlans) error {
	if err := t.sessions[p.Update].Run(ctx); err != nil || p.Begin == nil {
		return err
	}
	for _, st := range p.Update.States {
		if s := t.shared[st.Path]; s != nil {
			s.stale = !s.sum
		}
	}
	return nil
}
