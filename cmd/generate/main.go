// Command generate writes the files that derive from the tables of operations
// and stages: their CUE definitions and their documentation pages; and the page of
// models, from the architectures and what tests measured.
//
//	go generate .
//
// It takes the root of the repository, or the current folder. A test of this
// package fails while a file differs from what the tables say.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/augment"
	"pipe.dev/executor/learn"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/transform"
	"pipe.dev/schema"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	if err := write(root, root); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// files are the generated files by their paths below the root.
func files(root string) (map[string][]byte, error) {
	ops, err := op.New()
	if err != nil {
		return nil, err
	}
	stages, err := stage.New()
	if err != nil {
		return nil, err
	}
	optimizers, err := train.Optimizers()
	if err != nil {
		return nil, err
	}
	objectives, err := train.Objectives()
	if err != nil {
		return nil, err
	}
	schedules, err := train.Schedules()
	if err != nil {
		return nil, err
	}
	known := func(text func() []byte) func() ([]byte, error) {
		return func() ([]byte, error) { return text(), nil }
	}
	list := map[string][]byte{}
	for path, text := range map[string]func() ([]byte, error){
		"docs/models.md":              func() ([]byte, error) { return modelsPage(root) },
		"docs/objectives.md":          known(objectives.Docs),
		"docs/ops.md":                 known(ops.Docs),
		"docs/optimizers.md":          known(optimizers.Docs),
		"docs/schedules.md":           known(schedules.Docs),
		"docs/sounds.md":              augment.Table().Docs,
		"docs/stages.md":              known(stages.Docs),
		"docs/transforms.md":          transform.Table().Docs,
		"schema/op/ops.cue":           known(ops.CUE),
		"schema/pipeline/stages.cue":  known(stages.CUE),
		"schema/train/objectives.cue": known(objectives.CUE),
		"schema/train/optimizers.cue": known(optimizers.CUE),
		"schema/train/parts.cue":      learn.CUE,
		"schema/train/schedules.cue":  known(schedules.CUE),
		"schema/train/sounds.cue":     augment.Table().Definitions,
		"schema/train/transforms.cue": transform.Table().Definitions,
	} {
		if list[path], err = text(); err == nil && filepath.Ext(path) == ".cue" {
			list[path], err = schema.Format(list[path])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return list, nil
}

// write makes the files of the repository at from, below to.
func write(from, to string) error {
	list, err := files(from)
	if err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(list)) {
		name := filepath.Join(to, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(name, list[path], 0o666); err != nil {
			return err
		}
	}
	return nil
}
