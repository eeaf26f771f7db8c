package cpu

import (
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// resident returns how many bytes of p lie in memory. p begins with a page.
func resident(t *testing.T, p []byte) int {
	t.Helper()
	in := make([]byte, (len(p)+smallPage-1)/smallPage)
	if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(unsafe.Pointer(&in[0]))); e != 0 {
		t.Fatal(e)
	}
	n := 0
	for _, b := range in {
		n += int(b&1) * smallPage
	}
	return n
}

// gives reports whether the system joins pages now, asked without what is tested here: it may be older, or lack memory in one piece.
func gives(t *testing.T) bool {
	t.Helper()
	s, err := newSlab(largePage)
	if err != nil {
		t.Fatal(err)
	}
	defer freePages(s.pages)
	if os.Getpagesize() != smallPage || unix.Madvise(s.data, unix.MADV_NOHUGEPAGE) != nil {
		return false
	}
	s.data[5] = 1
	return unix.Madvise(s.data, unix.MADV_HUGEPAGE) == nil && unix.Madvise(s.data, unix.MADV_COLLAPSE) == nil && resident(t, s.data) == largePage
}

// A cache takes the pages that were written, then at most four times what was, whether rows come one by one or many at once; what it holds is what was appended.
func TestFillingTakesWhatIsWritten(t *testing.T) {
	if !joins() {
		t.Skip("the system can't join pages by request")
	}
	const batch, ctx, d = 2, 5000, 256
	for name, dtype := range map[string]ir.DType{"f32": ir.F32, "q8_0": ir.Q8_0} {
		t.Run(name, func(t *testing.T) {
			b := open(t, Options{Threads: 1})
			if _, err := b.Alloc(3 << 18); err != nil { // so that large pages begin within the cache
				t.Fatal(err)
			}
			size := ir.T(dtype, batch, ctx, 1, d).Bytes()
			u, err := b.Alloc(size)
			if err != nil {
				t.Fatal(err)
			}
			cache := kernels.Tensor{Buffer: u, DType: dtype, Shape: []int{batch, ctx, 1, d}}
			data, per := u.(*buffer).data, int(size)/batch/ctx
			want := make([]byte, size)
			r, past := rand.New(rand.NewPCG(1, 2)), 0
			for _, seq := range []int{1, 15, 1, 700, 1, 1, 1500, 2782, 1} { // two beyond the end
				x := random(r, batch*seq*d)
				at := []float32{float32(past), float32(past)}
				run(t, b, "cache_append", nil, []kernels.Tensor{cache, put(t, b, ir.F32, x, "", batch, seq, 1, d), put(t, b, ir.I32, at, "", batch)}, cache)
				written := min(ctx, past+seq) * per
				for z := range batch {
					for s := range min(seq, ctx-past) {
						copy(want[(z*ctx+past+s)*per:], encode(dtype, x[(z*seq+s)*d:][:d]))
					}
				}
				if past += seq; written < largePage/joinFrom/4 { // less than a quarter of any large page's part
					if got, most := resident(t, data), batch*(written+2*smallPage); got > most {
						t.Errorf("%d bytes are resident of 2 times %d that were written", got, written)
					}
				}
				if got, most := resident(t, data), batch*(written*joinFrom+2*smallPage)+largePage; got > most || got < batch*written {
					t.Errorf("%d bytes are resident of 2 times %d that were written, want at most %d", got, written, most)
				}
			}
			if string(data) != string(want) {
				t.Error("the cache is not what was appended")
			}
			for i := range u.(*buffer).slab.ordinary {
				if u.(*buffer).slab.ordinary[i].Load() {
					t.Errorf("large page %d is still ordinary ones", i)
				}
			}
		})
	}
}

// What is appended to in a buffer that holds other things as well leaves these in large pages.
func TestFillingOfPart(t *testing.T) {
	const ctx, d = 512, 256
	b := open(t, Options{Threads: 1})
	u, err := b.Alloc(2 * ctx * d * 4)
	if err != nil {
		t.Fatal(err)
	}
	cache := kernels.Tensor{Buffer: u, DType: ir.F32, Shape: []int{1, ctx, 1, d}}
	run(t, b, "cache_append", nil, []kernels.Tensor{cache, put(t, b, ir.F32, make([]float32, d), "", 1, 1, 1, d), put(t, b, ir.I32, []float32{0}, "", 1)}, cache)
	for i := range u.(*buffer).slab.ordinary {
		if u.(*buffer).slab.ordinary[i].Load() {
			t.Errorf("large page %d became ordinary ones", i)
		}
	}
}

// Pages are joined while they are filled, and not before: with half of a page written at the latest.
func TestFillingJoins(t *testing.T) {
	if !gives(t) {
		t.Skip("the system does not join pages by request")
	}
	const ctx, d, row = 2 * largePage / 1024, 256, 1024
	b := open(t, Options{Threads: 1})
	u, err := b.Alloc(ctx * row)
	if err != nil {
		t.Fatal(err)
	}
	cache := kernels.Tensor{Buffer: u, DType: ir.F32, Shape: []int{1, ctx, 1, d}}
	data := u.(*buffer).data
	x := make([]float32, 256*d)
	for past := 0; past < ctx; past += 256 {
		run(t, b, "cache_append", nil, []kernels.Tensor{cache, put(t, b, ir.F32, x, "", 1, 256, 1, d), put(t, b, ir.I32, []float32{float32(past)}, "", 1)}, cache)
		within := (past + 256) * row % largePage
		begun := data[past*row/largePage*largePage:][:largePage]
		switch got := resident(t, begun); {
		case within > 0 && within <= largePage/joinFrom && past < ctx/2 && got != within:
			t.Errorf("%d bytes of a large page are resident, %d were written", got, within)
		case (within == 0 || within > largePage/2) && got != largePage:
			t.Errorf("%d bytes of a large page are resident after %d were written: it was not joined", got, within)
		}
	}
}
