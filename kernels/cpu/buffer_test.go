package cpu

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

func TestAlloc(t *testing.T) {
	b := open(t, Options{Threads: 1})
	var sum int64
	var all []kernels.Buffer
	for _, n := range []int64{0, 1, 63, 4096, mapFrom - 1, mapFrom, mapFrom + 5, 9 << 20} {
		u, err := b.Alloc(n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
		sum += n
		if b.Allocated() != sum || u.Size() != n {
			t.Errorf("%d bytes: allocated %d, want %d; size %d", n, b.Allocated(), sum, u.Size())
		}
		data := u.(*buffer).data
		for i, v := range data {
			if v != 0 {
				t.Fatalf("%d bytes: byte %d is %d", n, i, v)
			}
		}
		if n > 0 && uintptr(unsafe.Pointer(&data[0]))%uintptr(b.Align()) != 0 {
			t.Errorf("%d bytes lie at %p", n, &data[0])
		}
		if err := u.Write(n, []byte{1}); err == nil {
			t.Errorf("a write beyond %d bytes is accepted", n)
		}
		if n > 0 {
			if err := u.Write(n-1, []byte{1}); err != nil {
				t.Error(err)
			}
		}
	}
	for _, u := range all {
		for range 2 { // the second Free does nothing
			if err := u.Free(); err != nil {
				t.Error(err)
			}
		}
	}
	if b.Allocated() != 0 {
		t.Errorf("%d bytes are left", b.Allocated())
	}
	if err := all[4].Read(0, make([]byte, 1)); err == nil {
		t.Error("a freed buffer can be read")
	}
	if _, err := b.Alloc(-1); err == nil {
		t.Error("-1 bytes were allocated")
	}
}

func TestMap(t *testing.T) {
	b := open(t, Options{Threads: 1})
	words := make([]uint64, 8) // so that the first byte is aligned
	data := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 64)
	for _, c := range []struct {
		from, to int
		want     bool
	}{
		{0, 64, true}, {8, 64, true}, {0, 7, true}, {0, 0, false},
		{4, 64, true},  // 60 bytes hold nothing larger than 4
		{4, 20, false}, // 16 bytes may hold two of 8
		{2, 64, true},  // 62 bytes hold nothing larger than 2
		{2, 18, false}, {2, 6, false}, {2, 4, true},
		{1, 64, true}, // 63 bytes hold only bytes
		{1, 17, false}, {1, 3, false},
	} {
		if _, ok := b.Map(data[c.from:c.to]); ok != c.want {
			t.Errorf("bytes %d to %d: mapped %v, want %v", c.from, c.to, ok, c.want)
		}
	}
	u, ok := b.Map(data)
	if !ok {
		t.Fatal("64 aligned bytes can't be mapped")
	}
	if err := u.Write(0, []byte{1}); err == nil {
		t.Error("mapped memory can be written")
	}
	if err := u.Free(); err != nil || b.Allocated() != 0 {
		t.Errorf("free: %v, %d bytes allocated", err, b.Allocated())
	}
}

// Packed weights hold what N32 says, for both orders of the source, from
// memory that is not aligned.
func TestPack(t *testing.T) {
	b := open(t, Options{Threads: 2})
	r := rand.New(rand.NewPCG(15, 16))
	for _, d := range []ir.DType{ir.F32, ir.BF16} {
		const out, in = 70, 37
		w := random(r, out*in)
		wt := make([]float32, out*in)
		for j := range out {
			for k := range in {
				wt[k*out+j] = w[j*in+k]
			}
		}
		for _, l := range []ir.Layout{N32, N32T} {
			typ, src := ir.T(d, out, in), encode(d, w)
			if l == N32T {
				typ, src = ir.T(d, in, out), encode(d, wt)
			}
			src = append([]byte{0}, src...)[1:]
			n := b.LayoutBytes(l, typ)
			if want := int64(96 * in * d.Size()); n != want {
				t.Fatalf("%s of %v takes %d bytes, want %d", l, typ, n, want)
			}
			u, err := b.Alloc(n)
			if err != nil {
				t.Fatal(err)
			}
			for i := range u.(*buffer).data {
				u.(*buffer).data[i] = 0xff
			}
			if err := b.Pack(l, typ, u, 0, src); err != nil {
				t.Fatal(err)
			}
			got := decode(d, u.(*buffer).data)
			for i, v := range got {
				p, k, j := i/(32*in), i/32%in, i%32
				want := float32(0)
				if p*32+j < out {
					want = w[(p*32+j)*in+k]
				}
				if v != want {
					t.Fatalf("%v %s: element %d is %g, want %g", d, l, i, v, want)
				}
			}
		}
	}
}

// A table of vectors that is packed for the product it is tied to reads as
// the same rows.
func TestTiedEmbedding(t *testing.T) {
	b := open(t, Options{Threads: 2})
	r := rand.New(rand.NewPCG(17, 18))
	attr := op.EmbeddingAttr{Vocab: 70, Dim: 37}
	typ := ir.T(ir.BF16, 70, 37)
	if !b.Accepts("embedding", attr, 1, typ, N32) || b.Layout("embedding", attr, 1, typ) != "" {
		t.Error("embedding prefers row-major and accepts n32")
	}
	w, ids := random(r, 70*37), []float32{0, 69, 31, 32, 64, 5}
	var got [2][]float32
	for i, l := range []ir.Layout{"", N32} {
		y := put(t, b, ir.F32, nil, "", 6, 37)
		run(t, b, "embedding", attr, []kernels.Tensor{put(t, b, ir.I32, ids, "", 6), put(t, b, ir.BF16, w, l, 70, 37)}, y)
		got[i] = get(t, y)
	}
	sameBits(t, "embedding", got[1], got[0])
	sameBits(t, "row 69", got[0][37:74], w[69*37:])
}

func TestErrors(t *testing.T) {
	b := open(t, Options{Threads: 2})
	ids := put(t, b, ir.I32, []float32{1, 7}, "", 2)
	step := bind(t, b, "embedding", op.EmbeddingAttr{Vocab: 5, Dim: 2}, []kernels.Tensor{ids, put(t, b, ir.F32, nil, "", 5, 2)}, put(t, b, ir.F32, nil, "", 2, 2))
	for range 2 {
		if err := step(t.Context()); err == nil || err.Error() != "index 1 is 7; want 0 to 4" {
			t.Errorf("id out of range: %v", err)
		}
	}
	if err := ids.Buffer.Write(4, []byte{4, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if err := step(t.Context()); err != nil {
		t.Errorf("after the id was mended: %v", err)
	}
	if _, err := New(Options{Tier: "sse9"}); err == nil || !strings.Contains(err.Error(), "generic") {
		t.Errorf("unknown tier: %v", err)
	}
	for _, info := range Tiers() {
		if _, err := New(Options{Tier: info.Name}); info.Available != (err == nil) || !info.Available && !strings.Contains(err.Error(), "lacks") {
			t.Errorf("tier %s available %v: %v", info.Name, info.Available, err)
		}
	}
}

func TestCloseEndsWorkers(t *testing.T) {
	before := runtime.NumGoroutine()
	b, err := New(Options{Threads: 5})
	if err != nil {
		t.Fatal(err)
	}
	if b.Threads() != 5 {
		t.Errorf("%d threads, want 5", b.Threads())
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}
