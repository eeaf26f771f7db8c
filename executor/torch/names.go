package torch

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pipe.dev/executor/archive"
	"pipe.dev/executor/pickle"
)

const (
	maxDepth = 64   // of collections in collections
	maxName  = 1024 // bytes of a tensor's name
	maxNotes = 256  // numbers and texts beside the tensors
)

// wrappers are the keys under which programs commonly keep a state dict among
// other things.
var wrappers = []string{"state_dict", "model_state_dict", "model", "module", "params", "params_ema", "weights"}

// walker names the tensors of an object.
type walker struct {
	file   File
	seen   map[string]bool
	visits int // that are left
	names  int // bytes that are left
}

// file names the tensors of an object that ops operations made. If all of them
// are in one of the wrappers, their names begin there.
func (h *host) file(v any, ops int) (*File, error) {
	// Collections may be shared, and are then visited again: a few bytes could
	// stand for very many.
	w := &walker{seen: map[string]bool{}, visits: 4*ops + 1000, names: 64*ops + 1<<20}
	w.file.Script = h.script
	if err := w.visit(v, "", 0); err != nil {
		return nil, err
	}
	if d, ok := v.(*pickle.Dict); ok {
		w.unwrap(d)
	}
	return &w.file, nil
}

func (w *walker) unwrap(d *pickle.Dict) {
	for _, key := range wrappers {
		if v, ok := d.Get(key); ok {
			if _, ok := v.(*pickle.Dict); !ok || len(w.file.Tensors) == 0 {
				continue
			}
			if slices.ContainsFunc(w.file.Tensors, func(t Tensor) bool { return !strings.HasPrefix(t.Name, key+".") }) {
				continue
			}
			for i := range w.file.Tensors {
				w.file.Tensors[i].Name = w.file.Tensors[i].Name[len(key)+1:]
			}
			return
		}
	}
}

// visit names what is in v, which lies at path.
func (w *walker) visit(v any, path string, depth int) error {
	if w.visits--; w.visits < 0 {
		return errors.New("its collections are shared so often that there is no end to them")
	}
	if depth > maxDepth {
		return fmt.Errorf("its collections are more than %d deep, at %q", maxDepth, archive.Short(path))
	}
	switch v := v.(type) {
	case *Tensor:
		return w.tensor(*v, path)
	case *pickle.Dict:
		for i, key := range v.Keys {
			if err := w.item(v.Values[i], path, key, depth); err != nil {
				return err
			}
		}
	case *pickle.List:
		return w.list(v.Items, path, depth)
	case pickle.Tuple:
		return w.list(v, path, depth)
	case *object:
		if !v.inert && v.state != nil {
			return w.visit(v.state, path, depth+1)
		}
	case string, int64, float64, bool:
		if len(w.file.Notes) < maxNotes && path != "" {
			w.file.Notes = append(w.file.Notes, Note{path, fmt.Sprint(v)})
		}
	}
	return nil
}

func (w *walker) list(items []any, path string, depth int) error {
	for i, v := range items {
		if err := w.item(v, path, int64(i), depth); err != nil {
			return err
		}
	}
	return nil
}

// item visits a value under a key.
func (w *walker) item(v any, path string, key any, depth int) error {
	name := ""
	switch k := key.(type) {
	case string:
		name = k
	case int64, bool, float64:
		name = fmt.Sprint(k)
	default:
		if _, ok := v.(*Tensor); ok {
			return fmt.Errorf("a tensor has %s for a key, at %q", pickle.Kind(key), archive.Short(path))
		}
		name = "?"
	}
	if path != "" {
		name = path + "." + name
	}
	if w.names -= len(name); len(name) > maxName || w.names < 0 {
		return fmt.Errorf("names are too long, as %q", archive.Short(name))
	}
	return w.visit(v, name, depth+1)
}

func (w *walker) tensor(t Tensor, path string) error {
	if path == "" {
		path = "tensor"
	}
	if w.seen[path] {
		return fmt.Errorf("two tensors are called %q", archive.Short(path))
	}
	w.seen[path] = true
	t.Name = path
	w.file.Tensors = append(w.file.Tensors, t)
	return nil
}
