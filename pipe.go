// Package pipe embeds the CUE packages that documents import, so that one
// binary resolves pipe.dev/... from any folder without a network.
//
// It holds no logic: see schema for what reads the files.
package pipe

//go:generate go run ./cmd/generate

import "embed"

// CUE is the CUE module pipe.dev: definitions of ops, stages and recipes,
// reusable layers, architectures, and documents that run.
//
//go:embed cue.mod/module.cue schema/op/*.cue schema/pipeline/*.cue schema/train/*.cue
//go:embed layers pipelines recipes/*.cue
var CUE embed.FS
