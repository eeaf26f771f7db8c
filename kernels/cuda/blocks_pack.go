package cuda

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"pipe.dev/kernels"
)

// packBytes are about as many as a processor packs at a time of a weight in blocks,
// and packers the most that do so at once: 16 MiB of the host, whatever the weight has.
const (
	packBytes = 2 << 20
	packers   = 8
)

// packInto writes the planes of src, rows of so many weights, to dst at offset, some
// rows at a time, of about piece bytes. Several processors do, each with memory of its own.
func (c coding) packInto(dst kernels.Buffer, offset int64, src []byte, rows, width, piece int) error {
	low, high, small, head := c.sizes()
	units := parts(width, 4*unit) * 4
	per := [4]int{low * units, high * units, small * units, head * (units * unit / c.format.Block)} // bytes of a row in each plane
	whole, row := c.planes(rows, width), len(src)/max(rows, 1)
	n := min(max(1, piece/(per[0]+per[1]+per[2]+per[3])), max(rows, 1))
	pieces := parts(rows, n)
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, min(packers, runtime.GOMAXPROCS(0), pieces))
	for w := range errs {
		all.Go(func() {
			to := make([]byte, c.planes(n, width)[4])
			for errs[w] == nil {
				first := n * int(next.Add(1)-1)
				if first >= rows {
					return
				}
				count := min(n, rows-first)
				clear(to)
				c.pack(to, src[row*first:row*(first+count)], count, width)
				at := c.planes(count, width)
				for i, size := range per {
					if bytes := size * count; bytes > 0 && errs[w] == nil {
						errs[w] = dst.Write(offset+int64(whole[i]+size*first), to[at[i]:at[i]+bytes])
					}
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
