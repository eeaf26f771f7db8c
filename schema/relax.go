package schema

import (
	"runtime/debug"
	"sync"
)

// loading counts the loads that run now, and keeps the collector's setting from before.
var loading struct {
	sync.Mutex
	many, percent int
}

// relax has the collector wait longer until the returned function is called. Evaluating a
// document makes tens of megabytes of which little stays: with the usual setting
// a quarter of the time goes into collecting them, and memory is the same.
func relax() (restore func()) {
	loading.Lock()
	defer loading.Unlock()
	if loading.many++; loading.many == 1 {
		loading.percent = debug.SetGCPercent(300)
		if loading.percent < 0 || loading.percent > 300 {
			debug.SetGCPercent(loading.percent) // somebody wants it later still
		}
	}
	return func() {
		loading.Lock()
		defer loading.Unlock()
		if loading.many--; loading.many == 0 {
			debug.SetGCPercent(loading.percent)
		}
	}
}
