//go:build !amd64

package cpu

func tiers() []tier { return []tier{generic()} }
