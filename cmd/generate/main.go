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
	parts, err := learn.CUE()
	if err != nil {
		return nil, err
	}
	sounds, err := augment.Table().Definitions()
	if err != nil {
		return nil, err
	}
	soundDocs, err := augment.Table().Docs()
	if err != nil {
		return nil, err
	}
	transforms, err := transform.Table().Definitions()
	if err != nil {
		return nil, err
	}
	transformDocs, err := transform.Table().Docs()
	if err != nil {
		return nil, err
	}
	models, err := modelsPage(root)
	if err != nil {
		return nil, err
	}
	list := map[string][]byte{
		"docs/models.md":              models,
		"schema/train/optimizers.cue": optimizers.CUE(),
		"schema/train/objectives.cue": objectives.CUE(),
		"schema/train/schedules.cue":  schedules.CUE(),
		"schema/train/parts.cue":      parts,
		"schema/train/transforms.cue": transforms,
		"schema/train/sounds.cue":     sounds,
		"docs/sounds.md":              soundDocs,
		"docs/transforms.md":          transformDocs,
		"docs/optimizers.md":          optimizers.Docs(),
		"docs/objectives.md":          objectives.Docs(),
		"docs/schedules.md":           schedules.Docs(),
		"schema/op/ops.cue":           ops.CUE(),
		"schema/pipeline/stages.cue":  stages.CUE(),
		"docs/ops.md":                 ops.Docs(),
		"docs/stages.md":              stages.Docs(),
	}
	for path, text := range list {
		if filepath.Ext(path) != ".cue" {
			continue
		}
		if list[path], err = schema.Format(text); err != nil {
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
