package learn

import (
	"errors"
	"time"

	"pipe.dev/kernels"
)

// crossingSeconds is how long a step takes to copy what crosses between host and device, by what copies of up to 32 MiB take.
// It is 0 where all is on one side.
func (r *Run) crossingSeconds() (seconds float64, err error) {
	toHost, toDevice := r.CrossingBytes()
	n := min(32<<20, max(toHost, toDevice))
	if n == 0 {
		return 0, nil
	}
	b, err := r.opt.Backend.Alloc(n)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.Free()) }()
	read, write, err := copySpeeds(b, n)
	return float64(toHost)/read + float64(toDevice)/write, err
}

// copySpeeds are the bytes a second that go from a buffer to the host, and to it: the best of three copies each, after one.
func copySpeeds(b kernels.Buffer, n int64) (read, write float64, err error) {
	data, last := make([]byte, n), make([]byte, 1)
	for range 4 {
		begin := time.Now()
		if err := b.Write(0, data); err != nil {
			return 1, 1, err
		}
		if err := b.Read(n-1, last); err != nil { // which waits until it is there
			return 1, 1, err
		}
		write = max(write, float64(n)/max(time.Since(begin).Seconds(), 1e-9))
		begin = time.Now()
		if err := b.Read(0, data); err != nil {
			return 1, 1, err
		}
		read = max(read, float64(n)/max(time.Since(begin).Seconds(), 1e-9))
	}
	return read, write, nil
}
