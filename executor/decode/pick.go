package decode

import "pipe.dev/executor/session"

const (
	// hostCall is how many positions a processor computes while it reads all weights once for a call, about: a call for
	// 1, 8, 16, 32 and 128 positions of a model of 1.1B takes 21, 80, 126, 217 and 889 ms.
	hostCall = 4
	// deviceCall is more than any call has: a device of its own computes hundreds meanwhile.
	deviceCall = 512
)

// perCall is what a call takes beside its positions, in positions.
func perCall(s *session.Session) int {
	if s.OwnMemory() {
		return deviceCall
	}
	return hostCall
}

// pick returns which of the sizes of calls, the smallest first and 1 among them, is next for n > 0 positions: those
// of a call that takes all, some of them in vain, or of the largest that is full,
// whichever costs less with those after it, where a call costs its size and perCall.
func pick(sizes []int, perCall, n int) int {
	i, _ := cheapest(sizes, perCall, n)
	return i
}

func cheapest(sizes []int, perCall, n int) (index, cost int) {
	all := 0
	for all < len(sizes) && sizes[all] < n {
		all++
	}
	if all < len(sizes) && sizes[all] == n {
		return all, n + perCall
	}
	full := all - 1
	if all == len(sizes) {
		return full, 0 // what is left costs the same whatever comes before
	}
	_, rest := cheapest(sizes, perCall, n-sizes[full])
	if some := sizes[full] + perCall + rest; some < sizes[all]+perCall {
		return full, some
	}
	return all, sizes[all] + perCall
}
