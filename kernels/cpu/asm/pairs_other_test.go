//go:build !amd64

package asm

// pairTiers are the functions over pairs that this machine can run.
func pairTiers() map[string]Pairs { return map[string]Pairs{"generic": GenericPairs()} }
