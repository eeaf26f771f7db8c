//go:build !linux

package asm

// PermitTiles reports whether the system keeps tiles: of this one that is not known.
func PermitTiles() bool { return false }
