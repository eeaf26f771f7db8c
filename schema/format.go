package schema

import "cuelang.org/go/cue/format"

// Format lays CUE text out as `cue fmt` does.
func Format(text []byte) ([]byte, error) { return format.Source(text) }
