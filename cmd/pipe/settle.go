package main

import (
	"runtime/debug"

	"pipe.dev/schema"
)

// settle gives back what evaluating documents and making plans took, before weights are read.
func settle() {
	schema.Forget()
	debug.FreeOSMemory()
}
