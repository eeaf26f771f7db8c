package plan

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// Entry says which program to make of a model.
type Entry struct {
	Name string // of the plans: "forward", "step", "encode"
	// Cache is the element type in which past keys and values are kept. When
	// it is set, the program continues a sequence: it has an input "past"
	// [batch], the number of positions before this call, and states of kind
	// Cache with room for "ctx" positions.
	Cache ir.DType
	// Encode makes the program compute what a text is made of: what the model
	// remembers of a source, in states of kind Cache with room for "room"
	// positions. It has no output; a program with Cache reads the states.
	Encode bool
	// Last makes the program compute its output only for one position of each
	// sequence, given by the input "last" [batch].
	Last bool
	// Padded makes a program for sequences of several lengths, filled up at their
	// ends: it has an input "lengths" [batch] if anything in it looks beyond a
	// position. What it gives at filled places means nothing.
	Padded bool
	// Only names the outputs that are computed; all, if it is empty. Inputs that
	// none of them needs are left out.
	Only []string
	// Given names the inputs that have values among those that may be absent.
	Given []string
	// Take names nodes whose values are outputs as well.
	Take []string
	// Side is the part of the model to make, where it is cut behind the first
	// Layers of its stack.
	Side   Side
	Layers int
}

// Side is a part of a model that is cut in two.
type Side uint8

// The sides of a cut.
const (
	Whole Side = iota // there is none
	Front             // what comes before it
	Back
)

// CacheError says that a cache in blocks cannot hold the keys or values of an op.
type CacheError struct {
	Port  string // of the op
	Size  string // elements of a head
	Block int    // elements of a block
	Type  ir.DType
}

func (e *CacheError) Error() string {
	return fmt.Sprintf("heads of %s have %s elements, no whole number of blocks of %d: %v cannot keep them; set cache to f32, bf16 or f16",
		e.Port, e.Size, e.Block, e.Type)
}
