//go:build darwin || freebsd || netbsd || openbsd

package cpu

func adviseHuge([]byte) {}
