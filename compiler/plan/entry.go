package plan

import "pipe.dev/compiler/ir"

// Entry says which program to make of a model.
type Entry struct {
	Name string // of the plans: "forward", "step"
	// Cache is the element type in which past keys and values are kept. When
	// it is set, the program continues a sequence: it has an input "past"
	// [batch], the number of positions before this call, and states of kind
	// Cache with room for "ctx" positions.
	Cache ir.DType
	// Last makes the program compute its output only for one position of each
	// sequence, given by the input "last" [batch].
	Last bool
	// Padded makes a program for sequences of several lengths, filled up at their
	// ends: it has an input "lengths" [batch] if anything in it looks beyond a
	// position. What it gives at filled places means nothing.
	Padded bool
	// Take names nodes whose values are outputs as well.
	Take []string
}
