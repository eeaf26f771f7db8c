// Package augment is what recipes do to sound before a model learns from it: the rows of a table of changes.
//
// The package knows no batches, and reads no files but responses of rooms.
package augment

import (
	"pipe.dev/executor/audio"
	"pipe.dev/executor/change"
)

// Def is one row of the table. Sound has one channel; its samples may become more or fewer.
type Def = change.Def[*audio.Clip]

// Chain is changes that follow each other.
type Chain = change.Chain[*audio.Clip]

// Table lists every change, in the order of the documentation.
func Table() change.Table[*audio.Clip] {
	return change.Table[*audio.Clip]{
		One: "change", Many: "changes of sound", Draws: "sound", CUE: "_soundChanges",
		Page: "Changes of sound", About: "What a recipe does to sound, in the order in which `data.sounds` lists it.",
		Rows: []Def{gain(), noise(), shift(), speed(), stretch(), pitch(), room(), normalize()},
	}
}
