package torch

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"pipe.dev/executor/archive"
	"pipe.dev/executor/pickle"
)

// Persistent implements pickle.Host: ids of storages.
func (h *host) Persistent(id any) (any, error) {
	t, ok := id.(pickle.Tuple)
	if !ok || len(t) < 5 || t[0] != "storage" {
		return nil, errors.New("a persistent id names no storage")
	}
	class, ok := t[1].(storageClass)
	key, also := t[2].(string)
	n, err := pickle.Int(t[4])
	switch {
	case !ok || !also:
		return nil, errors.New("a storage has no class or key")
	case err != nil:
		return nil, fmt.Errorf("size of storage %q: %w", archive.Short(key), err)
	case n < 0 || n > math.MaxInt64/int64(class.width):
		return nil, fmt.Errorf("storage %q claims %d elements", archive.Short(key), n)
	case len(t) > 5 && t[5] != nil:
		return nil, fmt.Errorf("storage %q is a view of another, as only PyTorch before version 0.4 wrote", archive.Short(key))
	}
	s := &Storage{Bytes: n * int64(class.width), key: key, width: class.width, dtype: class.name}
	if old := h.storages[key]; old != nil {
		if old.Bytes != s.Bytes || old.width != s.width || old.dtype != s.dtype {
			return nil, fmt.Errorf("storage %q is described in two ways", archive.Short(key))
		}
		return old, nil
	}
	if h.locate != nil {
		if err := h.locate(s); err != nil {
			return nil, err
		}
	}
	h.storages[key] = s
	return s, nil
}

// mostOver is how many bytes a tensor may have beyond its storage, as axes of
// stride 0 allow.
const mostOver = 64 << 20

// rebuild makes a tensor of: storage, offset, size, strides, and, in the third
// version, its element type.
func rebuild(args pickle.Tuple) (any, error) {
	if len(args) < 4 {
		return nil, errors.New("a tensor is made of too little")
	}
	s, ok := args[0].(*Storage)
	if !ok {
		return nil, fmt.Errorf("a tensor is made of %s instead of a storage", pickle.Kind(args[0]))
	}
	t := &Tensor{Storage: s, DType: s.dtype, Width: s.width}
	if s.dtype == "" {
		d, ok := dtype{}, false
		if len(args) > 6 {
			d, ok = args[6].(dtype)
		}
		if !ok {
			return nil, errors.New("a tensor has no element type")
		}
		t.DType, t.Width = d.name, d.width
	}
	sizes, err := numbers(args[2])
	if err != nil {
		return nil, fmt.Errorf("the shape of a tensor: %w", err)
	}
	if t.Strides, err = numbers(args[3]); err != nil {
		return nil, fmt.Errorf("the strides of a tensor: %w", err)
	}
	start, err := pickle.Int(args[1])
	if err != nil {
		return nil, fmt.Errorf("the offset of a tensor: %w", err)
	}
	if len(sizes) != len(t.Strides) || start < 0 || start > s.Bytes {
		return nil, fmt.Errorf("a tensor of shape %v has strides %v and begins at %d", sizes, t.Strides, start)
	}
	t.Start = start * int64(t.Width)
	return t, t.inside(sizes, start)
}

// inside proves that all elements lie in the storage.
func (t *Tensor) inside(sizes []int64, last int64) error {
	elems, empty := uint64(1), false
	end := uint64(last) + 1
	for i, n := range sizes {
		t.Shape = append(t.Shape, int(n))
		if n == 0 {
			empty = true
			continue
		}
		over, most := bits.Mul64(elems, uint64(n))
		far, step := bits.Mul64(uint64(n-1), uint64(t.Strides[i]))
		if elems = most; over != 0 || far != 0 || most > math.MaxInt32<<16 || step > math.MaxInt64/2 || end > math.MaxInt64/2 {
			return fmt.Errorf("a tensor of shape %v and strides %v has more elements than can be counted", sizes, t.Strides)
		}
		end += step
	}
	bytes := elems * uint64(t.Width)
	switch {
	case empty:
		return nil
	case end > uint64(t.Storage.Bytes)/uint64(t.Width):
		return fmt.Errorf("a tensor of shape %v, strides %v and offset %d does not fit into its storage of %d bytes", sizes, t.Strides, last, t.Storage.Bytes)
	case bytes > uint64(max(mostOver, t.Storage.Bytes)):
		return fmt.Errorf("a tensor of shape %v takes %d bytes, but its storage has %d", sizes, bytes, t.Storage.Bytes)
	}
	return nil
}

// maxAxes is the most axes of a tensor; PyTorch's own limit.
const maxAxes = 64

// numbers reads a tuple of numbers that are not negative.
func numbers(v any) ([]int64, error) {
	items, ok := v.(pickle.Tuple)
	if !ok {
		list, also := v.(*pickle.List)
		if !also {
			return nil, fmt.Errorf("is %s", pickle.Kind(v))
		}
		items = list.Items
	}
	if len(items) > maxAxes {
		return nil, fmt.Errorf("has more than %d axes", maxAxes)
	}
	out := make([]int64, len(items))
	for i, item := range items {
		n, err := pickle.Int(item)
		if err != nil {
			return nil, err
		}
		if n < 0 {
			return nil, fmt.Errorf("holds the negative %d", n)
		}
		out[i] = n
	}
	return out, nil
}
