package cpu

import (
	"syscall"
	"testing"
	"time"
)

// processor is the time that the threads of this process had a processor.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// quickest runs a step and reports work, in units of 1e9 a second, of the quickest
// call, by the clock of the processor: what others do meanwhile counts little.
func quickest(b *testing.B, work float64, unit string, step func()) {
	best := time.Duration(1 << 62)
	for b.Loop() {
		began := processor()
		step()
		best = min(best, processor()-began)
	}
	b.ReportMetric(work/best.Seconds()/1e9, unit+"/cpu-s")
}
