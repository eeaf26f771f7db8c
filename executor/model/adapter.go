package model

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/executor/adapter"
)

// openAdapter opens the adapter that a model runs with: of a file of several models
// what it has for this one, by the name of its folder, which may be nothing.
func openAdapter(o Options, s *Source) (a *adapter.Adapter, err error) {
	if file, ok := adapter.IsPipeline(o.Adapter); !ok {
		a, err = adapter.Open(o.Adapter)
	} else {
		var layers []string
		for _, t := range s.Checkpoint.Tensors() {
			if path, ok := s.Arch.PathOf(t.Name); ok {
				layers = append(layers, strings.TrimSuffix(path, ".weight"))
			}
		}
		a, err = adapter.OpenPart(file, filepath.Base(o.Dir), layers, s.Arch.Prefixes, s.Arch.Aliases)
	}
	if err == nil && a != nil {
		a.Rescale(o.Scale)
	}
	return a, err
}

// ProveAdapters proves that nothing in a file of adapters of several models is for
// none of those that are opened with it.
func ProveAdapters(models []*Model) error {
	parts := map[string][]string{} // folders, by the file
	for _, m := range models {
		if file, ok := adapter.IsPipeline(m.opt.Adapter); ok && m.opt.Adapter != "" {
			parts[file] = append(parts[file], filepath.Base(m.opt.Dir))
		}
	}
	for _, file := range slices.Sorted(maps.Keys(parts)) {
		if err := adapter.Belongs(file, parts[file]); err != nil {
			return err
		}
	}
	return nil
}
