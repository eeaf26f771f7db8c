package model

import "testing"

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 1023: "1023B", 1024: "1.0KiB", 1536: "1.5KiB", 1025: "1.1KiB", 1<<20 - 1: "1.0MiB", 1 << 20: "1.0MiB",
		5 << 30: "5.0GiB", 1<<63 - 1: "8.0EiB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}
