package lift

import (
	"slices"

	"pipe.dev/compiler/ir"
)

// moves are the ops that put elements elsewhere and change none.
var moves = map[string]bool{"reshape": true, "transpose": true, "slice": true, "concat": true, "gather": true, "broadcast": true, "take_along": true}

// op applies an op of the table: now, if all that it reads is known, else in the
// graph.
func (l *lifter) op(name string, attr any, in ...*value) *value { return l.ops(name, attr, in...)[0] }

func (l *lifter) ops(name string, attr any, in ...*value) []*value {
	d, ok := l.Table.Lookup(name)
	if !ok {
		fail("the op table has no %s", name)
	}
	types := make([]ir.Type, len(in))
	for i, v := range in {
		types[i] = v.typ
	}
	out, err := d.Infer(types, attr)
	if err != nil {
		l.wrong(err)
	}
	elems := 0
	for _, t := range out {
		l.sized(t)
		if !t.Known() {
			elems = maxFold + 1
			break
		}
		elems += t.Elems()
	}
	if d.Ref != nil && elems <= maxFold && l.allKnown(in) && (d.Cost == nil || d.Cost(types, out, attr) <= maxWork) {
		if values := l.fold(name, attr, in, types, out, d.Ref); values != nil {
			return values
		}
	}
	nodes := make([]ir.Value, len(in))
	for i, v := range in {
		nodes[i] = l.node(v)
	}
	made := l.b.Apply(name, attr, nodes...)
	l.check()
	values := make([]*value, len(made))
	for i, x := range made {
		values[i] = &value{typ: x.Type(), node: x}
	}
	return values
}

func (l *lifter) allKnown(in []*value) bool {
	for _, v := range in {
		if !l.known(v) {
			return false
		}
	}
	return true
}

// fold computes an op on elements that are known; nil if it can't be.
func (l *lifter) fold(name string, attr any, in []*value, types, out []ir.Type, ref func([][]float64, []ir.Type, any) [][]float64) []*value {
	named := false
	nums := make([][]float64, len(in))
	for i, v := range in {
		named = named || v.dims != nil
		nums[i] = v.nums
		l.work += len(v.nums)
	}
	for _, t := range out {
		l.work += t.Elems()
	}
	if l.work > maxWork {
		return nil
	}
	switch {
	case !named:
		var values []*value
		for i, x := range ref(nums, types, attr) {
			if x == nil {
				x = []float64{}
			}
			values = append(values, &value{typ: out[i], nums: x})
		}
		return values
	case moves[name]:
		return []*value{l.moved(in, types, attr, out[0], name, ref)}
	}
	if v := l.named2(name, in, out[0]); v != nil {
		return []*value{v}
	}
	return nil
}

// moved moves elements some of which are named sizes: the op moves their numbers.
func (l *lifter) moved(in []*value, types []ir.Type, attr any, out ir.Type, name string, ref func([][]float64, []ir.Type, any) [][]float64) *value {
	data := in
	if name == "gather" || name == "take_along" {
		if data = in[:1]; in[1].dims != nil {
			fail("an index is a size that is not known")
		}
	}
	var all []float64
	var dims []ir.Dim
	places := make([][]float64, len(in))
	for i, v := range in {
		if i >= len(data) {
			places[i] = v.nums
			continue
		}
		for k, x := range v.nums {
			places[i] = append(places[i], float64(len(all)))
			all = append(all, x)
			if v.dims == nil {
				dims = append(dims, ir.Dim{})
			} else {
				dims = append(dims, v.dims[k])
			}
		}
	}
	v := &value{typ: out, nums: []float64{}}
	for _, place := range ref(places, types, attr)[0] {
		if !(place >= 0) {
			fail("an index is out of range")
		}
		v.nums = append(v.nums, all[int(place)])
		v.dims = append(v.dims, dims[int(place)])
	}
	return v.settled()
}

// settled drops dims if there are none.
func (v *value) settled() *value {
	if !slices.ContainsFunc(v.dims, func(d ir.Dim) bool { return d != ir.Dim{} }) {
		v.dims = nil
	}
	return v
}
